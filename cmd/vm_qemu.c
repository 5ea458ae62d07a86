/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/vm_qemu.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/vm_proc.h"
#include "host/log.h"

#define PROGRAM "qemu-system-x86_64"

/* The first with vhost-user shared-memory requests, which images and DAX windows need. */
static const struct qemu_version for_regions = { 11, 1 };
/* The first with -machine memory-backend. */
static const struct qemu_version for_any = { 5, 0 };

static const struct qemu_version *needed(bool regions)
{
	return regions ? &for_regions : &for_any;
}

int qemu_parse_version(const char *text, struct qemu_version *v)
{
	static const char before[] = "version ";
	const char *at = strstr(text, before);

	if (!at || sscanf(at + strlen(before), "%u.%u", &v->major, &v->minor) != 2)
		return -EINVAL;
	return 0;
}

bool qemu_suffices(const struct qemu_version *v, bool regions)
{
	const struct qemu_version *least = needed(regions);

	return v->major > least->major || (v->major == least->major && v->minor >= least->minor);
}

/* Is this one good? If not, says why in why. */
static bool good_qemu(const char *path, bool regions, char *why, size_t len)
{
	struct args a = { .n = 0 };
	struct qemu_version v;
	char text[256];
	int ret;

	if (access(path, X_OK) < 0) {
		snprintf(why, len, "%s: %s", path, strerror(errno));
		return false;
	}
	args_add(&a, "%s", path);
	args_add(&a, "--version");
	ret = proc_output(&a, text, sizeof(text));
	args_fini(&a);
	if (!ret)
		ret = qemu_parse_version(text, &v);
	if (ret)
		snprintf(why, len, "%s does not tell its version", path);
	else
		snprintf(why, len, "%s is version %u.%u", path, v.major, v.minor);
	return !ret && qemu_suffices(&v, regions);
}

/* Looks a program up in $PATH, if its name has no slash. path is PATH_MAX long. */
static bool find_program(char *path, const char *name)
{
	const char *dirs = getenv("PATH");
	char dir[PATH_MAX];
	size_t n;

	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
	for (; dirs; dirs = dirs[n] ? dirs + n + 1 : NULL) {
		n = strcspn(dirs, ":");
		snprintf(dir, sizeof(dir), "%.*s", (int)n, dirs);
		if (path_in(path, n ? dir : ".", name, X_OK))
			return true;
	}
	return false;
}

int qemu_find(char *path, const struct vm_lab *lab, const char *wanted, bool regions)
{
	const struct qemu_version *least = needed(regions);
	char needs[64];
	const char *who = "--qemu";
	char why[2][PATH_MAX + 64] = { "there is no " PROGRAM " in PATH", "" };

	snprintf(needs, sizeof(needs), "%s QEMU %u.%u or later",
		 regions ? "images and DAX windows need" : "vdax needs", least->major,
		 least->minor);
	if (!wanted || !*wanted) {
		wanted = getenv("VDAX_QEMU");
		who = "VDAX_QEMU";
	}
	if (wanted && *wanted) {
		if (!find_program(path, wanted)) {
			log_err(NULL, "%s: there is no program %s in PATH", who, wanted);
			return -ENOENT;
		}
		if (good_qemu(path, regions, why[0], sizeof(why[0])))
			return 0;
		log_err(NULL, "%s: %s; %s", who, why[0], needs);
		return -ENOENT;
	}
	if (find_program(path, PROGRAM) && good_qemu(path, regions, why[0], sizeof(why[0])))
		return 0;
	path_in(path, lab->cache, "bin/" PROGRAM, X_OK);
	if (good_qemu(path, regions, why[1], sizeof(why[1])))
		return 0;
	log_err(NULL, "%s; %s; %s. Install it, give --qemu PATH, or run %s/fetch (make setup does)",
		needs, why[0], why[1], lab->scripts);
	return -ENOENT;
}

bool kvm_works(void)
{
	char line[8192];
	bool cpu = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && !cpu && fgets(line, sizeof(line), f))
		cpu = !strncmp(line, "flags", 5) && (strstr(line, " vmx") || strstr(line, " svm"));
	if (f)
		fclose(f);
	return cpu && access("/dev/kvm", R_OK | W_OK) == 0;
}

/* A value for an option of QEMU, where a comma is written twice. Returns buf[PATH_MAX]. */
static const char *value(char *buf, const char *text)
{
	size_t n = 0;

	for (; *text && n < PATH_MAX - 2; text++) {
		if (*text == ',')
			buf[n++] = ',';
		buf[n++] = *text;
	}
	buf[n] = '\0';
	return buf;
}

/* Two arguments: an option, and its value as a format. */
#define OPTION(a, name, ...)              \
	do {                              \
		args_add(a, "-%s", name); \
		args_add(a, __VA_ARGS__); \
	} while (0)

/*
 * The serial ports that lab/init uses. Those of a PC share two interrupts, which QEMU does
 * not model; so each has its own, and Linux reads it from the ACPI tables.
 */
static void add_ports(struct args *a, const struct vm_machine *m)
{
	static const struct {
		const char *name;
		unsigned port, irq;
	} ports[] = {
		{ "log", 0x3f8, 4 },
		{ "out", 0x2f8, 3 },
		{ "status", 0x3e8, 6 },
		{ "err", 0x2e8, 7 },
	};
	char status[PATH_MAX], buf[PATH_MAX];
	const char *const files[] = { m->log, m->out, status, m->err };

	snprintf(status, sizeof(status), "%s/status", m->dir);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		const char *name = ports[i].name;

		if (!m->console || files[i] == status)
			OPTION(a, "chardev", "file,id=%s,path=%s", name, value(buf, files[i]));
		else if (i == 0) /* mux: Ctrl-A X ends QEMU */
			OPTION(a, "chardev", "stdio,id=%s,mux=on,signal=off", name);
		else
			OPTION(a, "chardev", "null,id=%s", name);
		OPTION(a, "device", "isa-serial,chardev=%s,index=%zu,iobase=%#x,irq=%u", name, i,
		       ports[i].port, ports[i].irq);
	}
}

/* A word of the kernel's command line, which lab/init finds in its environment; or nothing. */
static const char *share_word(char *buf, size_t len, const struct vm_machine *m)
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < m->n_shares; i++)
		n += (size_t)snprintf(buf + n, len - n, "%s%s",
				      i ? "," : " vdax_share=", m->shares[i].tag);
	return buf;
}

static void add_kernel(struct args *a, const struct vm_machine *m)
{
	/* The emulated clock is the host's, and an emulated CPU leaks nothing. */
	static const char emulated[] = " mitigations=off tsc=reliable no_timer_check";
	char mount[32] = "", shares[16 + VM_DEVICES_MAX * (VM_TAG_MAX + 1)];

	if (m->n_images)
		snprintf(mount, sizeof(mount), " vdax_mount=%u", m->n_images);
	OPTION(a, "kernel", "%s", m->kernel);
	OPTION(a, "initrd", "%s/initramfs", m->dir);
	OPTION(a, "append",
	       "console=ttyS0 loglevel=%u panic=-1 random.trust_cpu=on cryptomgr.notests%s "
	       "vdax_modules=virtio_pci%s%s%s%s%s%s%s",
	       m->console ? 4u : 5u, m->kvm ? "" : emulated,
	       m->n_images ? ",virtio_pmem,nd_pmem" : "", m->n_shares ? ",virtiofs" : "", mount,
	       m->root ? " vdax_root=1" : "", share_word(shares, sizeof(shares), m),
	       m->append ? " " : "", m->append ? m->append : "");
}

/* QEMU's device for virtio-fs has no shared-memory regions; the generic one leaves all to the
 * daemon. */
static void add_share(struct args *a, const struct vm_machine *m, unsigned i)
{
	unsigned queues = vm_share_queues(m->cpus);

	if (m->window)
		OPTION(a, "device",
		       "vhost-user-test-device-pci,chardev=s%u,virtio-id=26,num_vqs=%u,vq_size=128,"
		       "config_size=40",
		       i, 1 + queues);
	else
		OPTION(a, "device", "vhost-user-fs-pci,chardev=s%u,tag=%s,num-request-queues=%u", i,
		       m->shares[i].tag, queues);
}

void qemu_args(struct args *a, const struct vm_machine *m)
{
	uint64_t mib = m->memory >> 20;
	char dir[PATH_MAX];

	args_add(a, "%s", m->qemu);
	args_add(a, "-nodefaults");
	args_add(a, "-no-user-config");
	args_add(a, "-no-reboot");
	OPTION(a, "display", "none");
	OPTION(a, "accel", "%s", m->kvm ? "kvm" : "tcg");
	OPTION(a, "cpu", "%s", m->kvm ? "host" : "max");
	OPTION(a, "smp", "%" PRIu32, m->cpus);
	OPTION(a, "m", "%" PRIu64 "M", mib);
	OPTION(a, "object", "memory-backend-memfd,id=mem,size=%" PRIu64 "M,share=on", mib);
	OPTION(a, "machine", "q35,memory-backend=mem,usb=off,smbus=off,sata=off,vmport=off");
	add_kernel(a, m);
	add_ports(a, m);
	for (unsigned i = 0; i < m->n_images; i++) {
		OPTION(a, "chardev", "socket,id=c%u,path=%s/pmem%u.sock", i, value(dir, m->dir), i);
		OPTION(a, "device",
		       "vhost-user-test-device-pci,chardev=c%u,virtio-id=27,num_vqs=1,vq_size=64,"
		       "config_size=16",
		       i);
	}
	for (unsigned i = 0; i < m->n_shares; i++) {
		OPTION(a, "chardev", "socket,id=s%u,path=%s/fs%u.sock", i, value(dir, m->dir), i);
		add_share(a, m, i);
	}
}
