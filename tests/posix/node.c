/* SPDX-License-Identifier: BSD-2-Clause */
/* mknod(): pipes, devices and sockets, by those who may and who may not. */
#include <poll.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include "tests/posix/posix.h"

static const struct {
	const char *name;
	mode_t type;
	unsigned major, minor;
} nodes[] = {
	{ "file", S_IFREG, 0, 0 },
	{ "no_type", 0, 0, 0 },
	{ "fifo", S_IFIFO, 0, 0 },
	{ "sock", S_IFSOCK, 0, 0 },
	{ "null", S_IFCHR, 1, 3 },
	{ "block", S_IFBLK, 7, 200 },
	{ "char_big", S_IFCHR, 4095, 0xfffff },
	{ "block_mid", S_IFBLK, 259, 70000 },
	{ "char_zero", S_IFCHR, 0, 0 },
	{ "dir", S_IFDIR, 0, 0 },
	{ "link", S_IFLNK, 0, 0 },
	{ "odd", 0150000, 0, 0 },
};

static void make_all(const char *prefix)
{
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		snprintf(name, sizeof(name), "%s%s", prefix, nodes[i].name);
		with("%s", name);
		T(mknod(name, nodes[i].type | 0666, makedev(nodes[i].major, nodes[i].minor)));
		with("%s", "");
		show_stat(name);
	}
}

static void all_as_root(void)
{
	make_all("");
	T(mknod("file", S_IFREG | 0600, 0));
	T(mknod("missing/x", S_IFREG | 0600, 0));
	T(mknod("file/x", S_IFREG | 0600, 0));
	show_names(".");
}

static void all_as_user(void)
{
	MUST(chmod(".", 0777));
	as_user(1000, 1001, (gid_t[]){ 1002, 0 });
	umask(02);
	make_all("u_");
	as_root();
	show_names(".");
}

static void use_null(void)
{
	char c;
	int fd;

	MUST(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	MUST(mknod("zero", S_IFCHR | 0600, makedev(1, 5)));
	fd = FD(open("null", O_RDWR));
	T(write(fd, "abc", 3));
	T(read(fd, &c, 1));
	fd = FD(open("zero", O_RDONLY));
	T(read(fd, &c, 1));
	MUST(mknod("nodev", S_IFCHR | 0600, makedev(511, 3)));
	FD(open("nodev", O_RDONLY));
	MUST(mknod("noblock", S_IFBLK | 0600, makedev(511, 3)));
	FD(open("noblock", O_RDONLY));
	show_stat("null");
}

static void use_fifo(void)
{
	char text[8] = "";
	int r, w;

	MUST(mkfifo("p", 0600));
	FD(open("p", O_WRONLY | O_NONBLOCK)); /* nobody reads */
	r = FD(open("p", O_RDONLY | O_NONBLOCK));
	w = FD(open("p", O_WRONLY));
	T(write(w, "abc", 3));
	T(read(r, text, sizeof(text)));
	say("got %s", text);
	T(read(r, text, sizeof(text)));
	T(lseek(r, 0, SEEK_SET));
	T(ftruncate(w, 0));
	T(unlink("p"));
	T(write(w, "de", 2));
	T(read(r, text, sizeof(text)));
	show_fstat("r", r);
	close(r);
	T(write(w, "f", 1));
}

static void use_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "s" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	char c = 0;
	int peer;

	T(bind(server, (struct sockaddr *)&a, sizeof(a)));
	show_stat("s");
	T(connect(client, (struct sockaddr *)&a, sizeof(a)));
	T(listen(server, 1));
	T(connect(client, (struct sockaddr *)&a, sizeof(a)));
	peer = FD(accept(server, NULL, NULL));
	T(write(client, "x", 1));
	T(read(peer, &c, 1));
	FD(open("s", O_RDWR));
	T(unlink("s"));
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	T(connect(client, (struct sockaddr *)&a, sizeof(a)));
	make_file("s", "a file");
	T(connect(client, (struct sockaddr *)&a, sizeof(a)));
	T(bind(client, (struct sockaddr *)&a, sizeof(a)));
}

static void move_nodes(void)
{
	make_all("");
	T(rename("fifo", "moved"));
	T(link("null", "null2"));
	T(chmod("null2", 0640));
	T(chown("sock", 12, 13));
	T(unlink("block"));
	show_stat("moved");
	show_stat("null");
	show_stat("sock");
	T(truncate("moved", 0));
	T(truncate("null", 0));
	T(truncate("sock", 0));
}

static const struct posix_case node_cases[] = {
	POSIX_CASE(all_as_root), POSIX_CASE(all_as_user), POSIX_CASE(use_null),
	POSIX_CASE(use_fifo),	 POSIX_CASE(use_socket),  POSIX_CASE(move_nodes),
};

POSIX_GROUP(node);
