/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd/fs_options.c: what the command lines of both virtiofsd, and ours, become. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/fs_dax.h"
#include "cmd/fs_options.h"
#include "host/fd.h"
#include "tests/lib/check.h"

#define MAX_WORDS 64u

static struct fs_options o;

/* Parses words with blanks between them, after --shared-dir and --socket-path. The status, or -1.
 */
static int parse_after(const char *first, const char *words)
{
	static char text[4096]; /* strings stay in argv */
	char *argv[MAX_WORDS + 1];
	int argc = 0, status;

	snprintf(text, sizeof(text), "fs %s %s", first, words);
	for (char *w = strtok(text, " "); w; w = strtok(NULL, " ")) {
		REQUIRE(argc < (int)MAX_WORDS);
		argv[argc++] = w;
	}
	argv[argc] = NULL;
	return fs_options_parse(argc, argv, &o, &status) ? status : -1;
}

static int parse(const char *words)
{
	return parse_after("--shared-dir /share --socket-path sock", words);
}

/* An option in each of its spellings, and a field that it sets. */
static const struct {
	const char *words;
	const int *field; /* of o; a bool is read as one */
	bool is_bool;
	int value;
} field_cases[] = {
#define ENUM(member) (const int *)&o.member, false
#define BOOL(member) (const int *)(const void *)&o.member, true
	{ "", ENUM(fs.cache), FS_CACHE_AUTO },
	{ "--cache always", ENUM(fs.cache), FS_CACHE_ALWAYS },
	{ "--cache=metadata", ENUM(fs.cache), FS_CACHE_METADATA },
	{ "--cache=never", ENUM(fs.cache), FS_CACHE_NEVER },
	{ "--cache=none", ENUM(fs.cache), FS_CACHE_NEVER },
	{ "--cache=never --cache=auto", ENUM(fs.cache), FS_CACHE_AUTO },
	{ "-o cache=none", ENUM(fs.cache), FS_CACHE_NEVER },
	{ "-ocache=always", ENUM(fs.cache), FS_CACHE_ALWAYS },
	{ "", BOOL(fs.xattr), false },
	{ "--xattr", BOOL(fs.xattr), true },
	{ "-o xattr", BOOL(fs.xattr), true },
	{ "--xattr -o no_xattr", BOOL(fs.xattr), false },
	{ "--posix-acl", BOOL(fs.xattr), true },
	{ "--security-label=auto", BOOL(fs.xattr), true },
	{ "--xattrmap=:map::user.virtiofs.:", BOOL(fs.xattr), true },
	{ "", ENUM(fs.posix_acl), FS_OFFER_OFF },
	{ "--posix-acl", ENUM(fs.posix_acl), FS_OFFER_ON },
	{ "--posix-acl=always", ENUM(fs.posix_acl), FS_OFFER_ON },
	{ "--posix-acl=auto", ENUM(fs.posix_acl), FS_OFFER_AUTO },
	{ "--posix-acl --posix-acl=never", ENUM(fs.posix_acl), FS_OFFER_OFF },
	{ "-o posix_acl", ENUM(fs.posix_acl), FS_OFFER_ON },
	{ "-o posix_acl,no_posix_acl", ENUM(fs.posix_acl), FS_OFFER_OFF },
	{ "--security-label", ENUM(fs.security_label), FS_OFFER_ON },
	{ "-o security_label", ENUM(fs.security_label), FS_OFFER_ON },
	{ "--security-label -o no_security_label", ENUM(fs.security_label), FS_OFFER_OFF },
	{ "", ENUM(sandbox), FS_SANDBOX_NAMESPACE },
	{ "--sandbox chroot", ENUM(sandbox), FS_SANDBOX_CHROOT },
	{ "--sandbox=None", ENUM(sandbox), FS_SANDBOX_NONE },
	{ "-o sandbox=chroot", ENUM(sandbox), FS_SANDBOX_CHROOT },
	{ "", ENUM(seccomp), FILTER_KILL },
	{ "--seccomp none", ENUM(seccomp), FILTER_NONE },
	{ "--seccomp=log", ENUM(seccomp), FILTER_LOG },
	{ "--seccomp=trap", ENUM(seccomp), FILTER_TRAP },
	{ "", BOOL(fs.announce_submounts), true },
	{ "--no-announce-submounts", BOOL(fs.announce_submounts), false },
	{ "--no-announce-submounts --announce-submounts", BOOL(fs.announce_submounts), true },
	{ "--no-announce-submounts -o announce_submounts", BOOL(fs.announce_submounts), true },
	{ "", ENUM(fs.inode_file_handles), FS_HANDLES_PREFER },
	{ "--inode-file-handles=never", ENUM(fs.inode_file_handles), FS_HANDLES_NEVER },
	{ "--inode-file-handles mandatory", ENUM(fs.inode_file_handles), FS_HANDLES_MANDATORY },
	{ "--inode-file-handles=fallback", ENUM(fs.inode_file_handles), FS_HANDLES_PREFER },
	{ "--modcaps=-dac_read_search", ENUM(fs.inode_file_handles), FS_HANDLES_NEVER },
	{ "", BOOL(fs.readdirplus), true },
	{ "--no-readdirplus", BOOL(fs.readdirplus), false },
	{ "--no-readdirplus -o readdirplus", BOOL(fs.readdirplus), true },
	{ "--cache=never", BOOL(fs.readdirplus), false },
	{ "--writeback", BOOL(fs.writeback), true },
	{ "-o writeback,no_writeback", BOOL(fs.writeback), false },
	{ "--allow-direct-io", BOOL(fs.allow_direct_io), true },
	{ "-o allow_direct_io", BOOL(fs.allow_direct_io), true },
	{ "--allow-mmap", BOOL(fs.allow_mmap), true },
	{ "", BOOL(fs.killpriv_v2), false },
	{ "--killpriv-v2", BOOL(fs.killpriv_v2), true },
	{ "--killpriv-v2 --no-killpriv-v2", BOOL(fs.killpriv_v2), false },
	{ "-o killpriv_v2", BOOL(fs.killpriv_v2), true },
	{ "--readonly", BOOL(fs.readonly), true },
	{ "--preserve-noatime", BOOL(fs.preserve_noatime), true },
	{ "", BOOL(fs.posix_lock), false },
	{ "--posix-lock", BOOL(fs.posix_lock), true },
	{ "-o posix_lock", BOOL(fs.posix_lock), true },
	{ "-o posix_lock,no_posix_lock", BOOL(fs.posix_lock), false },
	{ "", BOOL(fs.flock), false },
	{ "--flock", BOOL(fs.flock), true },
	{ "-o flock -o no_flock", BOOL(fs.flock), false },
	{ "--no-open", BOOL(fs.no_open), true },
	{ "--no-opendir", BOOL(fs.no_opendir), true },
	{ "--io-engine=pool", ENUM(fs.engine), FS_ENGINE_POOL },
	{ "--migration-mode=file-handles", ENUM(fs.migration_mode), FS_MIGRATE_FILE_HANDLES },
	{ "--migration-on-error guest-error", ENUM(fs.migration_on_error), FS_MIGRATE_GUEST_ERROR },
	{ "--migration-verify-handles", BOOL(fs.migration_verify_handles), true },
	{ "--migration-confirm-paths", BOOL(fs.migration_confirm_paths), true },
	{ "", ENUM(log_level), FS_LOG_INFO },
	{ "--log-level off", ENUM(log_level), FS_LOG_OFF },
	{ "--log-level=trace", ENUM(log_level), FS_LOG_TRACE },
	{ "-d", ENUM(log_level), FS_LOG_DEBUG },
	{ "-o debug", ENUM(log_level), FS_LOG_DEBUG },
	{ "-o log_level=err", ENUM(log_level), FS_LOG_ERROR },
	{ "-o loglevel=warn", ENUM(log_level), FS_LOG_WARN },
	{ "--syslog", BOOL(syslog), true },
	{ "--serve-again", BOOL(serve_again), true },
	{ "--no-memory-slots", BOOL(no_memory_slots), true },
	{ "--daemonize", BOOL(daemonize), true },
	{ "-f", BOOL(daemonize), false },
	{ "-o allow_root,max_idle_threads=10", BOOL(fs.xattr), false },
#undef ENUM
#undef BOOL
};

static void test_fields(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_cases); i++) {
		const int *field = field_cases[i].field;

		CHECK_EQ(field_cases[i].words, parse(field_cases[i].words), -1);
		CHECK_EQ(field_cases[i].words,
			 field_cases[i].is_bool ? *(const bool *)field : *field,
			 field_cases[i].value);
	}
}

/* What is refused, whatever else is right. */
static const char *const bad[] = {
	"--fd 3",
	"--cache",
	"--cache=sometimes",
	"--shared_dir /x",
	"--posix-acl=sometimes",
	"--posix-acl auto",
	"--tag=",
	"--tag=1234567890123456789012345678901234567",
	"--queues=0",
	"--queues=17",
	"--poll-us=1000001",
	"--rlimit-nofile=-1",
	"--thread-pool-size=many",
	"--translate-uid=map:0:1",
	"--translate-gid=nonsense:0:1:1",
	"--no-open --flock",
	"--uid-map=:0:1000",
	"--uid-map=0:1000:1",
	"--uid-map=:0:1000:1",
	"--uid-map=:0:1000:0:",
	"--uid-map=:0:4294967295:2:",
	"--uid-map=:0:1000:1:2:",
	"--gid-map=:0:-1:1:",
	"--gid-map=:0:4294967296:1:",
	"--uid-map=:0:1000:1: --sandbox=none",
	"--xattrmap=nonsense",
	"--modcaps=chown",
	"--modcaps=",
	"--modcaps=+chown:",
	"--modcaps=+nonsense",
	"--modcaps=-dac_read_search --inode-file-handles=mandatory",
	"--migration-mode=file-handles --migration-verify-handles",
	"--migration-mode=file-handles --migration-confirm-paths",
	"--dax-window=3M",
	"--dax-window=1",
	"--dax-window=many",
	"--dax-window=-2M",
	"--dax-window=66G",
	"--dax-window=65538M",
	"--dax-copies=0",
	"--dax-copies=some",
	"-o dax_window=2M",
	"-o nonsense",
	"-o cache=sometimes",
	"-o timeout=soon",
	"-x",
	"directory",
};

static void test_refused(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(bad[i], parse(bad[i]), EXIT_USAGE);
	CHECK_EQ("no share", parse_after("--socket-path s", ""), EXIT_USAGE);
	CHECK_EQ("no socket", parse_after("--shared-dir /", ""), EXIT_USAGE);
	CHECK_EQ("group of a descriptor", parse_after("--shared-dir / --fd=3", "--socket-group=x"),
		 EXIT_USAGE);
}

static void test_places(void)
{
	CHECK_EQ("old names", parse_after("-o source=/with,,comma,xattr", "--socket=old --tag=t"),
		 -1);
	CHECK(!strcmp(o.fs.shared_dir, "/with,comma") && !strcmp(o.socket_path, "old"));
	CHECK(!strcmp(o.fs.tag, "t") && o.fs.xattr && !o.control);
	CHECK_EQ("older names",
		 parse_after("-o source=/x,vhost_user_socket=oldest,norace,allow_root", ""), -1);
	CHECK(!strcmp(o.socket_path, "oldest"));
	CHECK_EQ("fd", parse_after("--shared-dir=/x", "--fd=7 --control c"), -1);
	CHECK(o.fd == 7 && !o.socket_path && !strcmp(o.control, "c"));
	CHECK_EQ("longest tag", parse("--tag=123456789012345678901234567890123456"), -1);
}

static void test_timeouts(void)
{
	static const struct {
		const char *words;
		uint64_t seconds;
	} cases[] = {
		{ "", 1 },
		{ "--cache=always", 86400 },
		{ "--cache=metadata", 86400 },
		{ "--cache=never", 0 },
		{ "--cache=never -o timeout=5", 5 },
		{ "-o timeout=0", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_EQ(cases[i].words, parse(cases[i].words), -1);
		CHECK_EQ(cases[i].words, o.fs.entry_timeout_ns, cases[i].seconds * NS_PER_S);
		CHECK_EQ(cases[i].words, o.fs.attr_timeout_ns, cases[i].seconds * NS_PER_S);
	}
}

static void test_numbers(void)
{
	CHECK_EQ("defaults", parse(""), -1);
	CHECK(o.fs.num_queues == FS_QUEUES_DEFAULT && o.fs.pool_threads == FS_POOL_MAX);
	CHECK(o.fs.poll_ns == o.poll_us * UINT64_C(1000) && o.rlimit_nofile == FS_NOFILE_DEFAULT);
	CHECK_EQ("given", parse("--queues=16 --thread-pool-size=1 --poll-us 50 --rlimit-nofile=0"),
		 -1);
	CHECK(o.fs.num_queues == 16 && o.fs.pool_threads == 1);
	CHECK(o.fs.poll_ns == 50000 && o.rlimit_nofile == 0);
	CHECK_EQ("pools", parse("--thread-pool-size=64"), -1);
	CHECK_EQ("at most", o.fs.pool_threads, FS_POOL_MAX);
	CHECK_EQ("no pool", parse("--thread-pool-size=0"), -1);
	CHECK_EQ("slow calls need one all the same", o.fs.pool_threads, FS_POOL_MAX);
}

static void test_window(void)
{
	static const struct {
		const char *words;
		uint64_t window, copies;
	} cases[] = {
		{ "", 0, FS_DAX_COPIES },
		{ "--dax-window=0", 0, FS_DAX_COPIES },
		{ "--dax-window=2M", FS_DAX_RANGE, FS_DAX_COPIES },
		{ "--dax-window 2097152", FS_DAX_RANGE, FS_DAX_COPIES },
		{ "--dax-window=100m", UINT64_C(100) << 20, FS_DAX_COPIES },
		{ "--dax-window=64G", FS_DAX_WINDOW_MAX, FS_DAX_COPIES },
		{ "--dax-window=2M --dax-window=4M", 2 * (uint64_t)FS_DAX_RANGE, FS_DAX_COPIES },
		{ "--dax-window=2M --dax-window=0 --dax-copies=4K", 0, 4096 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_EQ(cases[i].words, parse(cases[i].words), -1);
		CHECK_EQ(cases[i].words, o.fs.dax_window, cases[i].window);
		CHECK_EQ(cases[i].words, o.fs.dax_copies, cases[i].copies);
	}
}

#define SIZE FS_DAX_MIN_SIZE
#define AGE  FS_DAX_MIN_AGE_NS

static const struct {
	const char *list;
	struct fs_dax_policy want;
	bool bad;
} policy_cases[] = {
	{ "never", { .never = true, .min_size = SIZE, .min_age_ns = AGE }, false },
	{ "exec", { .exec = true, .min_size = SIZE, .min_age_ns = AGE }, false },
	{ "writers", { .writers = true, .min_size = SIZE, .min_age_ns = AGE }, false },
	{ "any-fs", { .any_fs = true, .min_size = SIZE, .min_age_ns = AGE }, false },
	{ "min-size=0", { .min_size = 0, .min_age_ns = AGE }, false },
	{ "min-size=64K", { .min_size = 65536, .min_age_ns = AGE }, false },
	{ "min-age=0.25", { .min_size = SIZE, .min_age_ns = 250000000 }, false },
	{ "min-age=0", { .min_size = SIZE, .min_age_ns = 0 }, false },
	{ "min-size=1,min-size=2,min-age=9,min-age=1.5",
	  { .min_size = 2, .min_age_ns = 1500000000 },
	  false },
	{ "exec,writers,any-fs,exec,min-size=1M",
	  { .exec = true, .writers = true, .any_fs = true, .min_size = SIZE, .min_age_ns = AGE },
	  false },
	{ "", { 0 }, true },
	{ ",", { 0 }, true },
	{ "exec,", { 0 }, true },
	{ "exec,,writers", { 0 }, true },
	{ "exe", { 0 }, true },
	{ "execs", { 0 }, true },
	{ "exec=1", { 0 }, true },
	{ "min-size", { 0 }, true },
	{ "min-size=", { 0 }, true },
	{ "min-size=-1", { 0 }, true },
	{ "min-size=1.5M", { 0 }, true },
	{ "min-age=soon", { 0 }, true },
	{ "exec min-size=1", { 0 }, true },
	{ "min-size=0000000000000000000000000000000000000000000000000000000000000001",
	  { 0 },
	  true },
};

static void test_policy(void)
{
	char err[256];

	for (size_t i = 0; i < ARRAY_SIZE(policy_cases); i++) {
		const struct fs_dax_policy *want = &policy_cases[i].want;
		struct fs_dax_policy got = fs_dax_policy_default;
		const char *list = policy_cases[i].list;
		int ret = fs_dax_policy_parse(&got, list, err, sizeof(err));

		CHECK_EQ(list, ret, policy_cases[i].bad ? -EINVAL : 0);
		if (policy_cases[i].bad)
			want = &fs_dax_policy_default; /* as it was */
		CHECK_NAMED(list, got.never == want->never && got.exec == want->exec &&
					  got.writers == want->writers &&
					  got.any_fs == want->any_fs);
		CHECK_EQ(list, got.min_size, want->min_size);
		CHECK_EQ(list, got.min_age_ns, want->min_age_ns);
	}
	CHECK_EQ("says what there is", fs_dax_policy_parse(&o.fs.dax_policy, "execs,x", err, 256),
		 -EINVAL);
	CHECK_NAMED(err, !strcmp(err, "--dax-policy wants never, exec, writers, any-fs, "
				      "min-size=BYTES or min-age=SECONDS, not \"execs\""));
}

static void test_policy_option(void)
{
	CHECK_EQ("none", parse(""), -1);
	CHECK(o.fs.dax_policy.min_size == SIZE && o.fs.dax_policy.min_age_ns == AGE);
	CHECK_EQ("the last list counts", parse("--dax-policy=exec --dax-policy any-fs,min-size=7"),
		 -1);
	CHECK(!o.fs.dax_policy.exec && o.fs.dax_policy.any_fs && o.fs.dax_policy.min_size == 7);
	CHECK_EQ("refused", parse("--dax-policy=execs"), EXIT_USAGE);
}

/* What fs_dax_advise() writes to stderr. */
static const char *advice(const char *words)
{
	static char text[1024];
	int saved = dup(STDERR_FILENO), status = parse(words);
	FILE *f = tmpfile();

	REQUIRE(f && saved >= 0 && status == -1);
	dup2(fileno(f), STDERR_FILENO);
	fs_dax_advise(&o);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void test_advice(void)
{
	const char *text = advice("--dax-window=2M --tag=t");

	CHECK_NAMED(text, !*text);
	text = advice("--no-memory-slots --migration-mode=file-handles");
	CHECK_NAMED(text, !*text);
	text = advice("--dax-window=2M");
	CHECK_NAMED(text, strstr(text, "without --tag"));
	text = advice("--dax-window=2M --tag=t --no-memory-slots");
	CHECK_NAMED(text, strstr(text, "with --no-memory-slots") && !strstr(text, "migrated"));
	text = advice("--dax-window=8G --tag=t");
	CHECK_NAMED(text, strstr(text, "the window is 900M"));
	CHECK_EQ("limited", o.fs.dax_window, 900 << 20);
	text = advice("--dax-window=900M --tag=t");
	CHECK_NAMED(text, !*text);
	text = advice("--dax-window=8G --dax-maps=5000 --tag=t");
	CHECK_NAMED(text, !*text);
	CHECK_EQ("not limited", o.fs.dax_window, UINT64_C(8) << 30);
	for (const char **words = (const char *[]){ "--migration-mode=file-handles",
						    "--migration-on-error=guest-error",
						    "--migration-verify-handles",
						    "--migration-confirm-paths", NULL };
	     *words; words++) {
		char all[128];

		snprintf(all, sizeof(all), "--dax-window=2M --tag=t %s", *words);
		text = advice(all);
		CHECK_NAMED(*words, strstr(text, "cannot be migrated"));
	}
}

#define BIT(cap) ((uint64_t)1 << (cap))

static void test_capabilities(void)
{
	static const uint64_t plain = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) |
				      BIT(CAP_FSETID) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
				      BIT(CAP_MKNOD) | BIT(CAP_SETFCAP) | BIT(CAP_LEASE);
	static const struct {
		const char *words;
		uint64_t keep;
	} cases[] = {
		{ "--inode-file-handles=never", plain },
		{ "", plain | BIT(CAP_DAC_READ_SEARCH) },
		{ "--modcaps=+sys_admin:-chown",
		  (plain | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_SYS_ADMIN)) & ~BIT(CAP_CHOWN) },
		{ "-o modcaps=+CAP_SYS_ADMIN",
		  plain | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_SYS_ADMIN) },
		{ "--modcaps=-chown:+chown", plain | BIT(CAP_DAC_READ_SEARCH) },
		{ "--modcaps=-dac_read_search", plain },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_EQ(cases[i].words, parse(cases[i].words), -1);
		CHECK_EQ(cases[i].words, o.caps.keep, cases[i].keep);
	}
}

static void test_maps(void)
{
	CHECK_EQ("maps", parse("--uid-map=:0:1000:1: --uid-map /1/100000/65535/ --gid-map :0:7:1:"),
		 -1);
	CHECK(o.id_maps.n_uid == 2 && o.id_maps.n_gid == 1);
	CHECK(o.id_maps.uid[1].inside == 1 && o.id_maps.uid[1].outside == 100000 &&
	      o.id_maps.uid[1].count == 65535);
	CHECK_EQ("all ids", parse("--uid-map=:0:0:4294967295:"), -1);
	CHECK_EQ("rules", parse("--translate-uid=map:0:1000:1 --translate-uid squash-host:5:6:1"),
		 -1);
	CHECK(o.fs.translate_uid.n == 2 && !o.fs.translate_gid.n);
	CHECK(!strcmp(o.fs.translate_uid.v[1], "squash-host:5:6:1"));
}

static void test_asked(void)
{
	CHECK_EQ("version", parse_after("--version", ""), EXIT_OK);
	CHECK_EQ("version", parse_after("-V", ""), EXIT_OK);
	CHECK_EQ("capabilities", parse_after("--print-capabilities", ""), EXIT_OK);
	CHECK_EQ("help", parse_after("--help", ""), EXIT_OK);
}

int main(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* What the program says here is for people. */
	REQUIRE(null >= 0 && dup2(null, STDOUT_FILENO) >= 0);
	test_fields();
	test_refused();
	test_places();
	test_timeouts();
	test_numbers();
	test_window();
	test_policy();
	test_policy_option();
	test_advice();
	test_capabilities();
	test_maps();
	test_asked();
	return check_done();
}
