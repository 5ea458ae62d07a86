/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd/vm*: what is decided before anything is started. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/macros.h"
#include "cmd/args.h"
#include "cmd/vm.h"
#include "cmd/vm_kernel.h"
#include "cmd/vm_memory.h"
#include "cmd/vm_qemu.h"
#include "cmd/vm_share.h"
#include "tests/lib/check.h"

static void check_str(const char *what, const char *got, const char *want)
{
	if (strcmp(got, want))
		fprintf(stderr, "%s: \"%s\", want \"%s\"\n", what, got, want);
	CHECK_NAMED(what, !strcmp(got, want));
}

static const struct {
	const char *text;
	int ret;
	bool images, any; /* does it suffice for a VM with images, and for one without? */
} version_cases[] = {
	{ "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)\nCopyright", 0, true, true },
	{ "QEMU emulator version 11.1.0\n", 0, true, true },
	{ "QEMU emulator version 11.0.91\n", 0, false, true },
	{ "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", 0, false, true },
	{ "QEMU emulator version 12.0.0", 0, true, true },
	{ "QEMU emulator version 9.11", 0, false, true },
	{ "QEMU emulator version 5.0.0", 0, false, true },
	{ "QEMU emulator version 4.2.1", 0, false, false },
	{ "version eleven", -EINVAL, false, false },
	{ "", -EINVAL, false, false },
};

static void test_version(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(version_cases); i++) {
		struct qemu_version v = { 0, 0 };
		const char *text = version_cases[i].text;

		CHECK_EQ(text, qemu_parse_version(text, &v), version_cases[i].ret);
		CHECK_EQ(text, qemu_suffices(&v, true), version_cases[i].images);
		CHECK_EQ(text, qemu_suffices(&v, false), version_cases[i].any);
	}
}

static void test_memory(void)
{
	static const char meminfo[] = "MemTotal:       24684184 kB\n"
				      "MemAvailable:   24015492 kB\nSwapFree:  0 kB\n";

	CHECK_EQ("no image", vm_memory_default(0), MIB(512));
	CHECK_EQ("a small image", vm_memory_default(MIB(64)), MIB(576));
	for (uint64_t size = 0; size < GIB(4096); size = size * 2 + MIB(2)) {
		uint64_t least = vm_memory_least(size);

		CHECK_NAMED("page structs fit", least >= MIB(256) + size / 64);
		CHECK_NAMED("not much more", least <= MIB(257) + size / 64 + size / 1024);
		CHECK_NAMED("whole MiB", is_aligned(least, MIB(1)));
		CHECK_NAMED("room to work", vm_memory_default(size) >= least + MIB(256));
	}
	CHECK_EQ("first line", meminfo_value(meminfo, "MemTotal:"), 24684184ull << 10);
	CHECK_EQ("in between", meminfo_value(meminfo, "MemAvailable:"), 24015492ull << 10);
	CHECK_EQ("none", meminfo_value(meminfo, "HugePages:"), 0);
}

static void test_window(void)
{
	static const struct {
		uint64_t memory, want;
		unsigned n;
	} cases[] = {
		{ MIB(512), MIB(900), 1 }, { MIB(1023), MIB(900), 1 }, { GIB(64), MIB(900), 1 },
		{ MIB(200), MIB(512), 1 }, { MIB(128), MIB(512), 1 },  { MIB(512), MIB(240), 2 },
		{ MIB(512), MIB(160), 3 }, { GIB(64), MIB(16), 28 },   { MIB(100), MIB(16), 20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t window = vm_window_default(cases[i].memory, cases[i].n);

		CHECK_EQ("window", window, cases[i].want);
		CHECK_NAMED("1/16 of the memory for all",
			    window * cases[i].n / 64 <= cases[i].memory / 16);
		CHECK_NAMED("two mappings for each 2 MiB",
			    cases[i].n == 1 || window / MIB(1) * cases[i].n <= 480);
		CHECK_NAMED("whole ranges", is_aligned(window, MIB(2)));
	}
	CHECK_EQ("alone", vm_window_most(1), GIB(64));
	CHECK_EQ("two", vm_window_most(2), MIB(240));
}

/* What fn prints, in a static buffer. */
static const char *printed(void (*fn)(FILE *f, const void *ctx), const void *ctx)
{
	static char buf[16384];
	FILE *f = fmemopen(buf, sizeof(buf), "w");

	REQUIRE(f);
	fn(f, ctx);
	fclose(f);
	return buf;
}

static void print_word(FILE *f, const void *word)
{
	shell_quote(f, word);
}

static void print_script(FILE *f, const void *command)
{
	vm_write_command(f, (char *const *)command);
}

static void print_args(FILE *f, const void *args)
{
	args_print(f, args);
}

static const struct {
	const char *word, *quoted;
} quote_cases[] = {
	{ "plain-word_1.2", "plain-word_1.2" },
	{ "id=mem,size=1M,share=on", "id=mem,size=1M,share=on" },
	{ "", "''" },
	{ "two words", "'two words'" },
	{ "it's", "'it'\\''s'" },
	{ "$HOME `ls` *", "'$HOME `ls` *'" },
	{ "a\nb", "'a\nb'" },
	{ "~", "'~'" },
	{ "\xc3\xa4", "'\xc3\xa4'" },
};

/* Quoted as we expect, and read back by a shell as it was. */
static void test_quote(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(quote_cases); i++) {
		const char *word = quote_cases[i].word;
		char line[128], back[64] = "";
		FILE *f;

		check_str(word, printed(print_word, word), quote_cases[i].quoted);
		snprintf(line, sizeof(line), "printf %%s %s", quote_cases[i].quoted);
		f = popen(line, "r");
		REQUIRE(f);
		back[fread(back, 1, sizeof(back) - 1, f)] = '\0';
		CHECK_EQ("the shell", pclose(f), 0);
		check_str("read back", back, word);
	}
}

static void test_command(void)
{
	const char *const script[] = { "cd /mnt && ls *", NULL };
	const char *const words[] = { "echo", "a b", "it's", NULL };

	check_str("one word is a script", printed(print_script, script), "cd /mnt && ls *\n");
	check_str("several are quoted", printed(print_script, words), "echo 'a b' 'it'\\''s'\n");
}

static const struct vm_machine machine = {
	.qemu = "/usr/bin/qemu-system-x86_64",
	.kernel = "/boot/vmlinuz",
	.dir = "/run/a,b",
	.memory = MIB(576),
	.cpus = 2,
	.n_images = 2,
	.out = "/dev/fd/4",
	.err = "/dev/fd/6",
	.log = "/tmp/log",
	.append = "quiet",
};

static void test_qemu_args(void)
{
	struct vm_machine m = machine;
	struct args a = { .n = 0 };
	const char *text;

	qemu_args(&a, &m);
	text = printed(print_args, &a);
	CHECK_NAMED("it fits", !a.failed && a.n < ARGS_MAX && !a.v[a.n]);
	check_str("the program", a.v[0], m.qemu);
	CHECK_NAMED("shared memory",
		    strstr(text, "memory-backend-memfd,id=mem,size=576M,share=on"));
	CHECK_NAMED("emulated", strstr(text, "-accel tcg") && strstr(text, "-cpu max"));
	CHECK_NAMED("a comma in a path", strstr(text, "socket,id=c1,path=/run/a,,b/pmem1.sock"));
	CHECK_NAMED("but not here", strstr(text, "-initrd /run/a,b/initramfs"));
	CHECK_NAMED("second device", strstr(text, "chardev=c1,virtio-id=27,num_vqs=1,vq_size=64,"
						  "config_size=16"));
	CHECK_NAMED("no third", !strstr(text, "id=c2"));
	CHECK_NAMED("for lab/init", strstr(text, "vdax_mount=2 quiet'"));
	CHECK_NAMED("the command's ports", strstr(text, "file,id=out,path=/dev/fd/4"));
	args_fini(&a);

	m.console = m.root = m.kvm = true;
	m.append = NULL;
	qemu_args(&a, &m);
	text = printed(print_args, &a);
	CHECK_NAMED("the console", strstr(text, "stdio,id=log,mux=on,signal=off"));
	CHECK_NAMED("nothing else there", strstr(text, "-chardev null,id=out"));
	CHECK_NAMED("status all the same", strstr(text, "file,id=status,path=/run/a,,b/status"));
	CHECK_NAMED("not emulated", strstr(text, "-accel kvm") && !strstr(text, "mitigations=off"));
	CHECK_NAMED("a root", strstr(text, "vdax_mount=2 vdax_root=1'"));
	args_fini(&a);
}

static void test_qemu_shares(void)
{
	static const struct vm_share shares[] = { { "/src", "src" }, { "x", "share1" } };
	struct vm_machine m = machine;
	struct args a = { .n = 0 };
	const char *text;

	m.shares = shares;
	m.n_shares = 2;
	qemu_args(&a, &m);
	text = printed(print_args, &a);
	CHECK_NAMED("beside images",
		    strstr(text, "vdax_modules=virtio_pci,virtio_pmem,nd_pmem,virtiofs "
				 "vdax_mount=2 vdax_share=src,share1 quiet'"));
	CHECK_NAMED("its socket", strstr(text, "socket,id=s1,path=/run/a,,b/fs1.sock"));
	CHECK_NAMED("its device", strstr(text, "vhost-user-fs-pci,chardev=s1,tag=share1,"
					       "num-request-queues=2"));
	CHECK_NAMED("no third", !strstr(text, "id=s2"));
	args_fini(&a);

	m.n_images = 0;
	m.cpus = 40;
	qemu_args(&a, &m);
	text = printed(print_args, &a);
	CHECK_NAMED("no images", strstr(text, "vdax_modules=virtio_pci,virtiofs vdax_share=src"));
	CHECK_NAMED("as many queues as there are", strstr(text, "num-request-queues=8"));
	CHECK_NAMED("no image's device", !strstr(text, "vhost-user-test-device-pci"));
	args_fini(&a);
}

static void test_qemu_window(void)
{
	static const struct vm_share shares[] = { { "/src", "src" } };
	struct vm_machine m = machine;
	struct args a = { .n = 0 };
	const char *text;

	m.shares = shares;
	m.n_shares = 1;
	m.window = GIB(2);
	qemu_args(&a, &m);
	text = printed(print_args, &a);
	CHECK_NAMED("a queue for each CPU, and the urgent one",
		    strstr(text, "vhost-user-test-device-pci,chardev=s0,virtio-id=26,num_vqs=3,"
				 "vq_size=128,config_size=40"));
	CHECK_NAMED("not QEMU's own", !strstr(text, "vhost-user-fs-pci"));
	CHECK_NAMED("mounted all the same", strstr(text, "vdax_share=src"));
	args_fini(&a);
}

/* Each has the longest tag there is, and all are in the kernel's command line. */
static void test_qemu_full(void)
{
	static struct vm_share shares[VM_DEVICES_MAX];
	struct vm_machine m = machine;
	struct args a = { .n = 0 };
	const char *at = NULL;

	for (unsigned i = 0; i < VM_DEVICES_MAX; i++)
		snprintf(shares[i].tag, sizeof(shares[i].tag), "%036u", i);
	m.n_images = 0;
	m.n_shares = VM_DEVICES_MAX;
	m.shares = shares;
	qemu_args(&a, &m);
	for (unsigned i = 0; i < a.n; i++)
		if (!strcmp(a.v[i], "-append"))
			at = a.v[i + 1];
	REQUIRE(at);
	CHECK_NAMED("it fits", !a.failed);
	CHECK_NAMED("x86 takes so much", strlen(at) < 2048);
	CHECK_NAMED("the first", strstr(at, " vdax_share=000000000000000000000000000000000000,"));
	CHECK_NAMED("the last", strstr(at, ",000000000000000000000000000000000027 quiet"));
	args_fini(&a);
}

static const struct {
	const char *text, *dir, *tag; /* tag NULL: refused */
} share_cases[] = {
	{ "/srv/data", "/srv/data", "data" },
	{ "/srv/data/", "/srv/data/", "data" },
	{ "data", "data", "data" },
	{ "/srv/data:d", "/srv/data", "d" },
	{ "/:root", "/", "root" },
	{ "/", "/", "share7" },
	{ ".", ".", "share7" },
	{ "../..", "../..", "share7" },
	{ "a b", "a b", "share7" },
	{ "a,b", "a,b", "share7" },
	{ "a/-b", "a/-b", "share7" },
	{ ".config", ".config", ".config" },
	{ "backup:1", "backup", "1" },
	{ "backup:1/", "backup:1/", "share7" },
	{ "backup:1:b", "backup:1", "b" },
	{ "a:b/c", "a:b/c", "c" },
	{ "d:123456789012345678901234567890123456", "d", "123456789012345678901234567890123456" },
	{ "d:1234567890123456789012345678901234567", NULL, NULL },
	{ "1234567890123456789012345678901234567", "1234567890123456789012345678901234567",
	  "share7" },
	{ "d:", NULL, NULL },
	{ "d:a b", NULL, NULL },
	{ "d:a,b", NULL, NULL },
	{ "d:..", NULL, NULL },
	{ "d:-x", NULL, NULL },
	{ ":tag", NULL, NULL },
	{ "", NULL, NULL },
};

static void test_share_names(void)
{
	char *longest = calloc(1, PATH_MAX + 1);
	struct vm_share s;

	for (size_t i = 0; i < ARRAY_SIZE(share_cases); i++) {
		const char *text = share_cases[i].text;
		int want = share_cases[i].tag ? 0 : -EINVAL;

		CHECK_EQ(text, vm_share_parse(&s, text, 7), want);
		if (!want) {
			check_str("its directory", s.dir, share_cases[i].dir);
			check_str("its tag", s.tag, share_cases[i].tag);
		}
	}
	REQUIRE(longest);
	memset(longest, 'x', PATH_MAX);
	CHECK_EQ("no path is so long", vm_share_parse(&s, longest, 0), -EINVAL);
	free(longest);
}

static void test_share_clashes(void)
{
	static const struct {
		struct option_list given;
		unsigned n_images;
		int ret;
	} cases[] = {
		{ { 2, { "a/data", "b/other" } }, 0, 0 },
		{ { 2, { "a/data", "b/data" } }, 0, -EINVAL },
		{ { 2, { "a/data", "b/data:more" } }, 0, 0 },
		{ { 3, { "/:share2", "/tmp", "." } }, 0, -EINVAL },
		{ { 1, { "pmem1" } }, 1, 0 },
		{ { 1, { "pmem1" } }, 2, -EINVAL },
		{ { 1, { "pmem1" } }, 0, 0 },
		{ { 0, { NULL } }, 0, 0 },
	};
	struct vm_share s[3];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_EQ("tags", vm_shares_parse(s, &cases[i].given, cases[i].n_images),
			 cases[i].ret);
}

static void test_share_daemon(void)
{
	static const struct vm_share s = { "/a b", "tag" };
	struct vm_share_how how = { .self = "vdax", .socket = "/run/s" };
	struct args a = { .n = 0 };

	vm_share_args(&a, &s, &how);
	check_str("as it is", printed(print_args, &a),
		  "vdax fs \\\n    --log-level=warn \\\n    --socket-path=/run/s \\\n"
		  "    --control=/run/s.ctl \\\n    '--shared-dir=/a b'");
	args_fini(&a);
	how.sandbox = "chroot";
	how.read_only = how.pmem = true;
	vm_share_args(&a, &s, &how);
	check_str("with all", printed(print_args, &a),
		  "vdax fs \\\n    --log-level=warn \\\n    --sandbox=chroot \\\n"
		  "    --readonly \\\n    --no-memory-slots \\\n    --socket-path=/run/s \\\n"
		  "    --control=/run/s.ctl \\\n    '--shared-dir=/a b'");
	args_fini(&a);
	how.sandbox = NULL;
	how.read_only = false;
	how.window = GIB(2);
	how.queues = 3;
	vm_share_args(&a, &s, &how);
	check_str("with a window, beside an image", printed(print_args, &a),
		  "vdax fs \\\n    --log-level=warn \\\n    --tag=tag \\\n    --queues=3 \\\n"
		  "    --dax-window=2048M \\\n    --socket-path=/run/s \\\n"
		  "    --control=/run/s.ctl \\\n    '--shared-dir=/a b'");
	args_fini(&a);
}

/* The mappings of a window are in the memory of the images' daemons, too. */
static void test_image_daemon(void)
{
	static struct vm_plan plan = { .self = "vdax", .images = { "disk" } };
	struct args a = { .n = 0 };

	plan.machine = machine;
	plan.machine.n_images = 1;
	vm_daemon_args(&a, &plan, 0);
	check_str("alone", printed(print_args, &a),
		  "vdax pmem \\\n    --once \\\n    --quiet \\\n"
		  "    --socket-path=/run/a,b/pmem0.sock disk");
	args_fini(&a);
	plan.machine.window = GIB(2);
	vm_daemon_args(&a, &plan, 0);
	check_str("beside a window", printed(print_args, &a),
		  "vdax pmem \\\n    --once \\\n    --quiet \\\n    --memory-slots \\\n"
		  "    --socket-path=/run/a,b/pmem0.sock disk");
	args_fini(&a);
}

static void test_args_full(void)
{
	struct args a = { .n = 0 };

	for (unsigned i = 0; i < ARGS_MAX; i++)
		args_add(&a, "%u", i);
	CHECK_NAMED("full", !a.failed && !a.v[ARGS_MAX]);
	args_add(&a, "one more");
	CHECK_NAMED("too much", a.failed && a.n == ARGS_MAX && !a.v[ARGS_MAX]);
	args_fini(&a);
	CHECK_NAMED("empty", !a.n && !a.failed);
}

/* The parts of a bzImage that are read: magic at 0x202, offset of the release at 0x20e. */
static void test_kernel_release(void)
{
	static const char elf[] = "\177ELF...Linux version %s\0Linux version 7.2.12+deb13 (x";
	char image[0x400] = { 0 };
	char release[16];

	memcpy(image + 0x202, "HdrS", 4);
	image[0x20e] = 0x10;
	strcpy(image + 0x210, "6.12.117-amd64 (a builder) #1");
	CHECK_EQ("bzImage", kernel_release(image, sizeof(image), release, sizeof(release)), 0);
	check_str("its release", release, "6.12.117-amd64");
	CHECK_EQ("cut to the buffer", kernel_release(image, sizeof(image), release, 5), 0);
	check_str("its beginning", release, "6.12");
	image[0x20f] = 0x7f;
	CHECK_EQ("outside", kernel_release(image, sizeof(image), release, sizeof(release)),
		 -ENOENT);
	CHECK_EQ("vmlinux", kernel_release(elf, sizeof(elf), release, sizeof(release)), 0);
	check_str("the real one", release, "7.2.12+deb13");
	CHECK_EQ("something else", kernel_release("#!/bin/sh", 9, release, sizeof(release)),
		 -ENOENT);
	CHECK_EQ("nothing", kernel_release("", 0, release, sizeof(release)), -ENOENT);
}

static void test_regions(void)
{
	CHECK_NAMED("6.1", !kernel_knows_regions("6.1.0-56-cloud-amd64"));
	CHECK_NAMED("6.7", !kernel_knows_regions("6.7.12"));
	CHECK_NAMED("6.8", kernel_knows_regions("6.8.0"));
	CHECK_NAMED("6.12", kernel_knows_regions("6.12.117+deb13"));
	CHECK_NAMED("7.2", kernel_knows_regions("7.2.12"));
	CHECK_NAMED("5.10", !kernel_knows_regions("5.10.0"));
	CHECK_NAMED("unknown", kernel_knows_regions(""));
}

int main(void)
{
	test_version();
	test_memory();
	test_window();
	test_quote();
	test_command();
	test_qemu_args();
	test_qemu_shares();
	test_qemu_window();
	test_qemu_full();
	test_share_names();
	test_share_clashes();
	test_share_daemon();
	test_image_daemon();
	test_args_full();
	test_kernel_release();
	test_regions();
	return check_done();
}
