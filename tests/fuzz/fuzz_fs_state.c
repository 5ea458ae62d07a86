/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A state that arrives by migration. An input is a byte of options and the state. Whatever it says,
 * nothing outside of the share is opened, a failed one leaves nothing, and what a good one has made
 * can be used, saved and forgotten again.
 */
#include <ftw.h>
#include <sys/stat.h>

#include "base/macros.h"
#include "host/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fs_state.h"

#define SAME_HANDLES 0x01u /* the destination takes handles */
#define FORGIVING    0x02u
#define READ_ONLY    0x04u

static char top[] = "/var/tmp/vdax-fuzz-state-XXXXXX";
static char share[64];
static struct stage stages[8]; /* by options */
static ino_t inside[16];
static unsigned n_inside;

static const char *const files[] = { "a", "d/b", "d/e/c" };

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int note_inside(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	MUST(n_inside < ARRAY_SIZE(inside));
	inside[n_inside++] = st->st_ino;
	return 0;
}

static void clean_up(void)
{
	for (size_t k = 0; k < ARRAY_SIZE(stages); k++)
		if (stages[k].fs.cfg)
			stage_close(&stages[k]);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *path_of(const char *dir, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void make_share(void)
{
	MUST(mkdtemp(top));
	atexit(clean_up);
	snprintf(share, sizeof(share), "%s/share", top);
	MUST(mkdir(share, 0755) == 0 && mkdir(path_of(share, "d"), 0755) == 0 &&
	     mkdir(path_of(share, "d/e"), 0755) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		close(open(path_of(share, files[i]), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	close(open(path_of(top, "secret"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	MUST(symlink("..", path_of(share, "up")) == 0);
	nftw(share, note_inside, 16, FTW_PHYS);
}

static struct stage *stage_of(uint8_t options)
{
	struct stage *s = &stages[options % ARRAY_SIZE(stages)];
	struct fs_config cfg = {
		.inode_file_handles = FS_HANDLES_PREFER,
		.migration_mode = options & SAME_HANDLES ? FS_MIGRATE_FILE_HANDLES
							 : FS_MIGRATE_FIND_PATHS,
		.migration_on_error = options & FORGIVING ? FS_MIGRATE_GUEST_ERROR
							  : FS_MIGRATE_ABORT,
		.readonly = options & READ_ONLY,
	};

	if (!*share) {
		log_set_level(LOG_LEVEL_OFF);
		make_share();
	}
	if (!s->fs.cfg)
		MUST(stage_open(s, share, &cfg) == 0);
	return s;
}

static int check_inode(struct fs *fs, struct inode *i, void *arg)
{
	int fd = inode_fd(fs, i);
	bool found = fd < 0;
	struct stat st;

	(void)arg;
	if (fd >= 0) {
		MUST(fstatat(fd, "", &st, AT_EMPTY_PATH) == 0);
		for (unsigned k = 0; k < n_inside; k++)
			found = found || inside[k] == st.st_ino;
		inode_fd_put(i);
	}
	MUST(found);
	MUST(i->nlookup || fs->handles.count);
	return 0;
}

static void check_loaded(struct stage *s)
{
	struct bytes again = { .len = 0 };
	uint64_t inodes = s->fs.inodes.count, handles = s->fs.handles.count;
	int64_t id;

	inode_each(&s->fs, check_inode, NULL);
	id = look_up(s, "d/e/c");
	MUST(id > 0 || id < -4096); /* its generation may be any */
	inode_forget_all(&s->fs);
	s->fs.ops.reset(&s->fs);
	MUST(inodes <= 1 + (1u << 14) && handles <= 1u << 14);
	MUST(save_to(s, &again) == 0);
	free(again.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stage *s;

	if (!size)
		return 0;
	s = stage_of(data[0]);
	if (load_from(s, data + 1, size - 1) == 0)
		check_loaded(s);
	MUST(!s->fs.session.ready && s->fs.inodes.count == 1 && s->fs.handles.count == 0);
	return 0;
}

/* The state of a guest that knows all files, and has them open. */
static size_t make_seed(uint8_t options, uint8_t *buf, size_t cap)
{
	struct stage *s = stage_of(options);
	struct bytes b = { .len = 0 };
	size_t len;
	uint64_t fh;

	s->fs.session.minor = 31;
	s->fs.session.features = FUSE_BIG_WRITES;
	s->fs.session.ready = true;
	for (size_t k = 0; k < ARRAY_SIZE(files); k++)
		MUST(open_node(s, (uint64_t)look_up(s, files[k]), O_RDONLY, &fh) == 0);
	MUST(open_node(s, (uint64_t)look_up(s, "d"), O_RDONLY | O_DIRECTORY, &fh) == 0);
	MUST(look_up(s, "up") > 0);
	MUST(save_to(s, &b) == 0 && b.len < cap);
	s->fs.ops.reset(&s->fs);
	buf[0] = options;
	memcpy(buf + 1, b.data, b.len);
	len = b.len + 1;
	free(b.data);
	return len;
}

/* Made once: node ids depend on what was before. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static uint8_t seeds[ARRAY_SIZE(stages)][1024];
	static size_t lens[ARRAY_SIZE(stages)];

	if (i >= ARRAY_SIZE(stages))
		return 0;
	if (!lens[i])
		lens[i] = make_seed((uint8_t)i, seeds[i], sizeof(seeds[i]));
	MUST(lens[i] <= cap);
	memcpy(buf, seeds[i], lens[i]);
	return lens[i];
}
