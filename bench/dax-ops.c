/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times reads, writes and programs on mounts of virtio-fs, in turn: for bench/dax, in a guest.
 *
 *	dax-ops rounds N GROUP,... NAME=TAG[,OPTIONS]...
 *	dax-ops read FILE...
 *	dax-ops await FILE
 *
 * Each group of steps runs N times on each mount. For each run it is mounted anew at /m, so
 * that the first step finds nothing in the guest, and the next what the one before has left. The
 * mount that comes first is another one in each round. Prints for each step a line: group, step,
 * mount, and nanoseconds; none for a step that fails, and those after it.
 *
 * The others read whole files, and wait until there is one: in one process, as each new one would
 * use memory of the guest that is new to the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE	   4096u
#define CHUNK	   (128u << 10)
#define LINE	   64u
#define RANDOM	   2000u /* accesses of PAGE */
#define SMALL	   2000u /* files */
#define SET	   64u	 /* files in set/ */
#define SIZE_FILES 32u	 /* in size-N/ */
#define PROGRAMS   20u
#define MOUNTS	   8u

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const char *what = "?"; /* is done, for messages */
static const char *mount_name = "";
static char *buffer;		/* CHUNK bytes */
static volatile uint64_t eaten; /* nothing that was read is for nothing */

static void must(int64_t ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "dax-ops: %s, %s: %s\n", what, mount_name, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- one file --- */

struct file {
	int fd;
	uint8_t *map;
	size_t size;
};

/* While this is set, the first file that is opened stays so, and is used again. */
static int keep;
static struct file kept = { .fd = -1 };

static struct file open_file(const char *name, int how)
{
	struct file f = { .fd = -1 };
	struct stat st;

	if (keep && kept.fd >= 0) {
		must(lseek(kept.fd, 0, SEEK_SET));
		return kept;
	}
	f.fd = open(name, how);
	must(f.fd);
	must(fstat(f.fd, &st));
	f.size = (size_t)st.st_size;
	if (keep)
		kept = f;
	return f;
}

static struct file map_file(const char *name, int how)
{
	struct file f = open_file(name, how);

	f.map = mmap(NULL, f.size, PROT_READ | (how == O_RDWR ? PROT_WRITE : 0), MAP_SHARED, f.fd,
		     0);
	must(f.map == MAP_FAILED ? -1 : 0);
	return f;
}

static void close_file(struct file *f)
{
	if (f->map)
		munmap(f->map, f->size);
	if (!keep)
		close(f->fd);
}

/* The same places each time. */
static size_t place(const struct file *f, unsigned i)
{
	return (i * 2654435761u) % (f->size / PAGE) * PAGE;
}

/* --- steps --- */

static void read_all(const char *name)
{
	struct file f = open_file(name, O_RDONLY);
	ssize_t n;

	do {
		n = read(f.fd, buffer, CHUNK);
		must(n);
	} while (n);
	close_file(&f);
}

static void scan(const char *name)
{
	struct file f = map_file(name, O_RDONLY);

	for (size_t at = 0; at < f.size; at += LINE)
		eaten += f.map[at];
	close_file(&f);
}

static void read_random(const char *name)
{
	struct file f = open_file(name, O_RDONLY);

	for (unsigned i = 0; i < RANDOM; i++)
		must(pread(f.fd, buffer, PAGE, (off_t)place(&f, i)));
	close_file(&f);
}

static void load_random(const char *name)
{
	struct file f = map_file(name, O_RDONLY);

	for (unsigned i = 0; i < RANDOM; i++)
		memcpy(buffer, f.map + place(&f, i), PAGE);
	eaten += (uint8_t)buffer[0];
	close_file(&f);
}

static void end_writing(struct file *f)
{
	must(fsync(f->fd));
	close_file(f);
}

static void write_all(const char *name)
{
	struct file f = open_file(name, O_RDWR);

	for (size_t at = 0; at < f.size; at += CHUNK)
		must(pwrite(f.fd, buffer, CHUNK, (off_t)at));
	end_writing(&f);
}

static void write_random(const char *name)
{
	struct file f = open_file(name, O_RDWR);

	for (unsigned i = 0; i < RANDOM; i++)
		must(pwrite(f.fd, buffer, PAGE, (off_t)place(&f, i)));
	end_writing(&f);
}

static void store_all(const char *name)
{
	struct file f = map_file(name, O_RDWR);

	for (size_t at = 0; at < f.size; at += CHUNK)
		memcpy(f.map + at, buffer, CHUNK);
	end_writing(&f);
}

static void store_random(const char *name)
{
	struct file f = map_file(name, O_RDWR);

	for (unsigned i = 0; i < RANDOM; i++)
		memcpy(f.map + place(&f, i), buffer, PAGE);
	end_writing(&f);
}

static void execute(const char *name)
{
	char *argv[] = { (char *)(uintptr_t) "true", NULL };
	int status;
	pid_t pid;

	errno = posix_spawn(&pid, name, NULL, NULL, argv, NULL);
	must(errno ? -1 : 0);
	must(waitpid(pid, &status, 0));
	must(status ? -1 : 0);
}

static void execute_often(const char *name)
{
	for (unsigned i = 0; i < PROGRAMS; i++)
		execute(name);
}

/* --- many files; the steps above for each --- */

static void each(const char *dir, unsigned n, void (*step)(const char *name))
{
	char name[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%u", dir, i);
		step(name);
	}
}

static void read_small(const char *dir)
{
	each(dir, SMALL, read_all);
}

static void read_set(const char *dir)
{
	each(dir, SET, read_all);
}

static void scan_set(const char *dir)
{
	each(dir, SET, scan);
}

static void random_in_set(const char *dir, int mapped)
{
	struct file f[SET];

	for (unsigned i = 0; i < SET; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s/%u", dir, i);
		f[i] = (mapped ? map_file : open_file)(name, O_RDONLY);
	}
	for (unsigned i = 0; i < RANDOM; i++) {
		const struct file *one = &f[(i * 40503u >> 4) % SET];

		if (mapped)
			memcpy(buffer, one->map + place(one, i), PAGE);
		else
			must(pread(one->fd, buffer, PAGE, (off_t)place(one, i)));
	}
	for (unsigned i = 0; i < SET; i++)
		close_file(&f[i]);
}

static void read_random_set(const char *dir)
{
	random_in_set(dir, 0);
}

static void load_random_set(const char *dir)
{
	random_in_set(dir, 1);
}

static void read_sizes(const char *dir)
{
	each(dir, SIZE_FILES, read_all);
}

static void scan_sizes(const char *dir)
{
	each(dir, SIZE_FILES, scan);
}

/*
 * A group: what it works on, and its steps, the last one as often as it says; then, if it says so,
 * twice with one descriptor ("opened", "kept"). One whose name ends
 * in "-" is a family: what follows in the name it was asked for is a part of the file's name.
 */
static const struct {
	const char *name, *file;
	void (*first)(const char *name), (*next)(const char *name);
	unsigned repeats; /* of next */
	int keep;
} groups[] = {
	{ "read", "file", read_all, read_all, 1, 1 },
	{ "scan", "file", scan, scan, 1, 1 },
	{ "read-random", "file", read_random, read_random, 1, 1 },
	{ "load-random", "file", load_random, load_random, 1, 1 },
	{ "small", "small", read_small, read_small, 1, 0 },
	{ "write", "written", write_all, NULL, 0, 0 },
	{ "write-random", "written", write_random, NULL, 0, 0 },
	{ "store", "written", store_all, NULL, 0, 0 },
	{ "store-random", "written", store_random, NULL, 0, 0 },
	{ "execute", "program", execute, execute_often, 1, 0 },
	{ "set", "set", read_set, read_set, 1, 0 },
	{ "set-scan", "set", scan_set, scan_set, 1, 0 },
	{ "set-random", "set", read_random_set, read_random_set, 1, 0 },
	{ "set-load-random", "set", load_random_set, load_random_set, 1, 0 },
	{ "read-size-", "size-", read_sizes, read_sizes, 3, 0 },
	{ "scan-size-", "size-", scan_sizes, scan_sizes, 3, 0 },
};

/* --- rounds --- */

struct mount_point {
	const char *name, *tag, *options;
};

static struct mount_point parse_mount(char *word)
{
	struct mount_point m = { .name = word };
	char *tag = strchr(word, '='), *comma = tag ? strchr(tag, ',') : NULL;

	must(tag ? 0 : -1);
	*tag = 0;
	m.tag = tag + 1;
	m.options = comma ? comma + 1 : "";
	if (comma)
		*comma = 0;
	return m;
}

static void timed(const char *group, const char *step, void (*run)(const char *name),
		  const char *file)
{
	uint64_t began = now_ns();

	run(file);
	printf("%s\t%s\t%s\t%llu\n", group, step, mount_name,
	       (unsigned long long)(now_ns() - began));
	fflush(stdout);
}

static void run_steps(size_t g, const char *name)
{
	char file[64], step[32];

	snprintf(file, sizeof(file), "/m/%s%s", groups[g].file, name + strlen(groups[g].name));
	timed(name, "first", groups[g].first, file);
	for (unsigned i = 0; i < groups[g].repeats; i++) {
		snprintf(step, sizeof(step), "repeat%u", i + 1);
		timed(name, step, groups[g].next, file);
	}
	keep = groups[g].keep;
	if (keep) {
		timed(name, "opened", groups[g].next, file);
		timed(name, "kept", groups[g].next, file);
	}
}

/* In a process of its own: a step that fails ends this, and what it has open; its line is missing.
 */
static void run_group(size_t g, const char *name, const struct mount_point *m)
{
	pid_t pid;

	mount_name = m->name;
	must(mount(m->tag, "/m", "virtiofs", 0, m->options));
	pid = fork();
	must(pid);
	if (!pid) {
		run_steps(g, name);
		exit(0);
	}
	must(waitpid(pid, NULL, 0));
	must(umount("/m"));
}

static size_t find_group(const char *name)
{
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		size_t len = strlen(groups[g].name);

		if (!strcmp(name, groups[g].name) ||
		    (groups[g].name[len - 1] == '-' && !strncmp(name, groups[g].name, len)))
			return g;
	}
	errno = EINVAL;
	must(-1);
	return 0;
}

static int rounds(int argc, char **argv)
{
	struct mount_point mounts[MOUNTS];
	unsigned n = argc > 2 ? (unsigned)argc - 2 : 0, count;

	if (!n || n > MOUNTS)
		return 2;
	count = (unsigned)atoi(argv[0]);
	for (unsigned i = 0; i < n; i++)
		mounts[i] = parse_mount(argv[2 + i]);
	for (const char *name = strtok(argv[1], ","); name; name = strtok(NULL, ",")) {
		size_t g = find_group(what = name);

		for (unsigned r = 0; r < count; r++)
			for (unsigned i = 0; i < n; i++)
				run_group(g, name, &mounts[(i + r) % n]);
	}
	return 0;
}

static int read_files(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		read_all(what = argv[i]);
	return argc ? 0 : 2;
}

static int await(int argc, char **argv)
{
	while (argc && access(argv[0], F_OK) < 0)
		usleep(100000);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = { { "rounds", rounds }, { "read", read_files }, { "await", await } };

	buffer = malloc(CHUNK);
	must(buffer ? 0 : -1);
	memset(buffer, 'x', CHUNK);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (argc > 1 && !strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	return 2;
}
