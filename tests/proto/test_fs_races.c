/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host changes the share while a guest walks it: directories are moved out of the share and
 * back, and take turns with symbolic links to what is outside; files with links, fifos, sockets and
 * devices; files are truncated while they are read; a mount comes and goes. The guest never
 * gets a name or a byte from outside, and each request ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/fsd.h"

#define SECONDS 3u
#define SECRET	"SECRET: not for guests"
#define INSIDE	"inside"

static struct fsd d;
static struct front_raw *r;
static int share = -1, outside = -1;
static _Atomic bool going;
static bool mounts;
static unsigned walks, reads, links, submounts;

/* --- the host --- */

static void put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);

	if (fd < 0)
		return;
	REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int make_dir(int at, const char *name)
{
	int fd;

	REQUIRE(!mkdirat(at, name, 0755));
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	return fd;
}

/* The directory goes out, a link takes its place, and it comes back. */
static void swap_dir(void)
{
	(void)renameat(share, "dir", outside, "moved");
	(void)symlinkat("../outside", share, "dir");
	usleep(200);
	(void)unlinkat(share, "dir", 0);
	(void)symlinkat("/etc", share, "dir");
	usleep(200);
	(void)unlinkat(share, "dir", 0);
	(void)renameat(outside, "moved", share, "dir");
	usleep(200);
}

static void put_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/file", d.share);
	(void)bind(s, (const struct sockaddr *)&a, sizeof(a));
	close(s);
}

static void swap_file(unsigned i)
{
	(void)unlinkat(share, "file", 0);
	if (i % 5 == 0)
		(void)symlinkat("../outside/secret", share, "file");
	else if (i % 5 == 1)
		(void)mkfifoat(share, "file", 0666);
	else if (i % 5 == 2)
		put_socket();
	else if (i % 5 == 3)
		(void)mknodat(share, "file", S_IFCHR | 0666, makedev(1, 5));
	else
		put(share, "file", INSIDE);
	usleep(200);
}

static void resize(int fd)
{
	(void)ftruncate(fd, 0);
	usleep(50);
	(void)ftruncate(fd, 1 << 20);
}

static void mount_and_unmount(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/mnt", d.share);
	if (!mounts || mount("none", path, "tmpfs", 0, "size=1m"))
		return;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		put(fd, "in", INSIDE);
	fd_close(&fd);
	usleep(500);
	(void)umount2(path, MNT_DETACH);
}

static void *host(void *arg)
{
	int sized = openat(share, "sized", O_RDWR | O_CLOEXEC);

	(void)arg;
	REQUIRE(sized >= 0);
	for (unsigned i = 0; going; i++) {
		swap_dir();
		swap_file(i);
		resize(sized);
		if (i % 8 == 0)
			mount_and_unmount();
	}
	close(sized);
	return NULL;
}

/* --- the guest --- */

static int call(uint32_t opcode, uint64_t nodeid, struct fsd_body body, void *reply, size_t room)
{
	return fsd_call(r, 1, &(const struct fsd_rq){ opcode, nodeid, body, 0 }, reply, room);
}

static uint64_t look_up(uint64_t dir, const char *name, struct fuse_attr *attr)
{
	struct fuse_entry_out out;

	if (call(FUSE_LOOKUP, dir, (struct fsd_body){ FSD_NAME(name) }, &out, sizeof(out)) < 0)
		return 0;
	*attr = out.attr;
	return out.nodeid;
}

/* Reads what is there to its end. Nothing of it is from outside. */
static void read_file(uint64_t id)
{
	uint64_t fh = fsd_open(r, 1, FUSE_OPEN, id, O_RDONLY);
	char text[4096] = "";
	int n;

	if (!fh)
		return;
	n = call(FUSE_READ, id, (struct fsd_body){ FSD_BODY(read, .fh = fh, .size = 4000) }, text,
		 4000);
	CHECK_NAMED("nothing from outside", !memmem(text, sizeof(text), "SECRET", 6));
	CHECK_NAMED("nothing of /etc", !memmem(text, sizeof(text), "root:", 5));
	CHECK_NAMED("read", n >= 0);
	reads++;
	call(FUSE_RELEASE, id, (struct fsd_body){ FSD_BODY(release, .fh = fh) }, NULL, 0);
}

static void list_dir(uint64_t id)
{
	uint64_t fh = fsd_open(r, 1, FUSE_OPENDIR, id, O_RDONLY);
	char names[4096] = "";

	if (!fh)
		return;
	(void)call(FUSE_READDIR, id,
		   (struct fsd_body){ FSD_BODY(read, .fh = fh, .size = sizeof(names)) }, names,
		   sizeof(names));
	CHECK_NAMED("no name from outside", !memmem(names, sizeof(names), "secret", 6) &&
						    !memmem(names, sizeof(names), "passwd", 6));
	call(FUSE_RELEASEDIR, id, (struct fsd_body){ FSD_BODY(release, .fh = fh) }, NULL, 0);
}

static void walk_dir(void)
{
	static const char *const not_there[] = { "secret", "passwd" };
	struct fuse_attr attr;
	uint64_t id = look_up(1, "dir", &attr), in;

	if (!id)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(not_there); i++)
		CHECK_NAMED(not_there[i], !look_up(id, not_there[i], &attr));
	list_dir(id);
	in = look_up(id, "in", &attr);
	if (in) {
		read_file(in);
		walks++;
		fsd_forget(r, 0, in, 1);
	}
	fsd_forget(r, 0, id, 1);
}

/* Whatever it is at this moment, opening does not wait for somebody at the other end. */
static void walk_file(void)
{
	const struct fsd_body create = { FSD_BODY(create, .flags = O_RDWR, .mode = 0644),
					 FSD_TEXT("file") };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} made;
	struct fuse_attr attr;
	char target[256];
	uint64_t id = look_up(1, "file", &attr);

	if (id) {
		if (call(FUSE_READLINK, id, (struct fsd_body){ 0 }, target, sizeof(target)) > 0)
			links++;
		read_file(id);
		fsd_forget(r, 0, id, 1);
	}
	if (call(FUSE_CREATE, 1, create, &made, sizeof(made)) < 0)
		return;
	CHECK_EQ("opened", made.entry.attr.mode & S_IFMT, S_IFREG);
	call(FUSE_RELEASE, made.entry.nodeid,
	     (struct fsd_body){ FSD_BODY(release, .fh = made.open.fh) }, NULL, 0);
	fsd_forget(r, 0, made.entry.nodeid, 1);
}

static void walk_mount(void)
{
	struct fuse_attr attr = { 0 }, inner = { 0 };
	uint64_t id = look_up(1, "mnt", &attr), in;

	if (!id)
		return;
	submounts += !!(attr.flags & FUSE_ATTR_SUBMOUNT);
	in = look_up(id, "in", &inner);
	if (in) {
		CHECK_NAMED("only where something is mounted", attr.flags & FUSE_ATTR_SUBMOUNT);
		read_file(in);
		fsd_forget(r, 0, in, 1);
	}
	fsd_forget(r, 0, id, 1);
}

static void walk(void)
{
	uint64_t end = clock_ns() + (uint64_t)SECONDS * NS_PER_S, sized;
	struct fuse_attr attr;

	sized = look_up(1, "sized", &attr);
	REQUIRE(sized);
	while (clock_ns() < end) {
		walk_dir();
		walk_file();
		walk_mount();
		read_file(sized);
	}
	fsd_forget(r, 0, sized, 1);
}

/* --- a mount that stays for a while --- */

static void test_submount(void)
{
	struct fuse_attr attr = { 0 }, root = { 0 };
	uint64_t id, in, other, fh;
	char path[128];
	unsigned fds;
	int fd;

	snprintf(path, sizeof(path), "%s/mnt", d.share);
	fds = fsd_fds(&d);
	id = look_up(1, "mnt", &root);
	CHECK_NAMED("nothing mounted", id && !(root.flags & FUSE_ATTR_SUBMOUNT));
	REQUIRE(!mount("none", path, "tmpfs", 0, "size=1m"));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	put(fd, "in", INSIDE);
	fd_close(&fd);
	other = look_up(1, "mnt", &attr);
	CHECK_NAMED("announced", other && attr.flags & FUSE_ATTR_SUBMOUNT);
	CHECK_NAMED("another inode", other != id);
	in = look_up(other, "in", &attr);
	CHECK_NAMED("across", in && !(attr.flags & FUSE_ATTR_SUBMOUNT));
	CHECK_NAMED("below", !look_up(id, "in", &attr));
	fh = fsd_open(r, 1, FUSE_OPEN, in, O_RDONLY);
	CHECK_NAMED("opened", fh);
	read_file(in);
	REQUIRE(!umount2(path, MNT_DETACH));
	read_file(in); /* detached, and not gone while somebody has it */
	CHECK_EQ("the former one is seen", look_up(1, "mnt", &attr), id);
	call(FUSE_RELEASE, in, (struct fsd_body){ FSD_BODY(release, .fh = fh) }, NULL, 0);
	fsd_forget(r, 0, in, 1);
	fsd_forget(r, 0, other, 1);
	fsd_forget(r, 0, id, 2);
	CHECK_EQ("descriptors", fsd_fds(&d), fds);
}

/* --- all --- */

/* Mounts of ours, which end with us; the daemon's namespace hears of them. */
static bool can_mount(void)
{
	return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) &&
	       !mount("none", "/", NULL, MS_REC | MS_SHARED, NULL);
}

static void run(const char *handles)
{
	const char *const options[] = { handles, NULL };
	unsigned fds;
	pthread_t t;

	fsd_prepare(&d, "/tmp");
	share = open(d.share, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	outside = open(d.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(share >= 0 && outside >= 0);
	fd_close(&outside);
	outside = open(d.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	outside = make_dir(outside, "outside");
	put(outside, "secret", SECRET);
	put(share, "sized", INSIDE);
	put(share, "file", INSIDE);
	close(make_dir(share, "mnt"));
	{
		int dir = make_dir(share, "dir");

		put(dir, "in", INSIDE);
		close(dir);
	}
	fsd_start(&d, options);
	r = fsd_connect(&d, 3, 8192);
	fsd_init(r, FUSE_SUBMOUNTS);
	fds = fsd_fds(&d);
	if (mounts)
		test_submount();
	walks = reads = links = submounts = 0;
	going = true;
	REQUIRE(!pthread_create(&t, NULL, host, NULL));
	walk();
	going = false;
	pthread_join(t, NULL);
	fprintf(stderr, "%u walks, %u reads, %u links, %u submounts\n", walks, reads, links,
		submounts);
	CHECK_NAMED("something was there", walks && reads && links);
	CHECK_EQ("descriptors", fsd_fds(&d), fds);
	front_raw_close(r);
	fsd_log_lines(&d);
	fd_close(&share);
	fd_close(&outside);
	fsd_end(&d);
}

int main(void)
{
	umask(022);
	mounts = can_mount();
	run("--inode-file-handles=prefer");
	run("--inode-file-handles=never");
	return check_done();
}
