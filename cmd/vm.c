/* SPDX-License-Identifier: BSD-2-Clause */
/* `vdax vm`: the command line, the plan made of it, and the plan in print. */
#include "cmd/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/vm_memory.h"
#include "cmd/vm_run.h"
#include "fs/config.h"
#include "host/fd.h"
#include "host/log.h"

struct vm_cfg {
	struct option_list pmem;
	struct option_list share;
	uint64_t dax; /* of a window; 0: none, UINT64_MAX: the default */
	const char *root;
	const char *kernel;
	const char *modules;
	uint64_t memory;
	uint32_t cpus;
	const char *qemu;
	const char *accel;
	const char *append;
	struct option_list add;
	const char *log;
	bool read_only;
	bool sparse;
	bool dry_run;
};

#define AT(member) offsetof(struct vm_cfg, member)

static const struct option_def options[] = {
	{ "pmem", "IMAGE", OPTION_LIST, AT(pmem), "mount IMAGE with DAX; may be given again" },
	{ "share", "DIR[:TAG]", OPTION_LIST, AT(share),
	  "mount DIR at /mnt/TAG; may be given again" },
	{ "dax", "SIZE", OPTION_SIZE_OPT, AT(dax),
	  "map the files of each DIR into the guest, in a window of SIZE" },
	{ "root", "IMAGE", OPTION_STRING, AT(root), "boot from IMAGE, mounted with DAX" },
	{ "kernel", "KERNEL", OPTION_STRING, AT(kernel),
	  "7.2 or 6.12 of the lab (default: the newest), or a file" },
	{ "modules", "DIR", OPTION_STRING, AT(modules),
	  "the modules of that file (default: /lib/modules/RELEASE)" },
	{ "memory", "SIZE", OPTION_SIZE, AT(memory),
	  "memory of the guest (default: 512M and 1/64 of the images)" },
	{ "cpus", "N", OPTION_U32, AT(cpus), "virtual CPUs (default: 1)" },
	{ "qemu", "PATH", OPTION_STRING, AT(qemu),
	  "QEMU >= 11.1 (default: $VDAX_QEMU, the system's, the lab's)" },
	{ "accel", "NAME", OPTION_STRING, AT(accel), "kvm or tcg (default: kvm where it works)" },
	{ "append", "ARGS", OPTION_STRING, AT(append), "more for the kernel command line" },
	{ "add", "SRC:DST", OPTION_LIST, AT(add),
	  "put a file or directory into the guest; may be given again" },
	{ "log", "FILE", OPTION_STRING, AT(log), "keep the kernel's messages (with COMMAND)" },
	{ "read-only", NULL, OPTION_FLAG, AT(read_only),
	  "writes to the images are discarded, those to directories fail" },
	{ "sparse", NULL, OPTION_FLAG, AT(sparse),
	  "do not reserve space for the images: a full disk then kills the VM" },
	{ "dry-run", NULL, OPTION_FLAG, AT(dry_run), "print the commands, start nothing" },
};

const struct command vm_command = {
	.name = "vm",
	.args = "[OPTION]... [-- COMMAND [ARG]...]",
	.summary = "Boot a Linux guest with images mounted with DAX, and shared directories.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.epilogue =
		"The N-th IMAGE (ext4 or xfs, blocks of 4096 bytes) is at /mnt/pmemN, from 0;\n"
		"with --root from 1. The tag of DIR is its last part, if none is given. A tag\n"
		"has no slash, so if a colon is part of the directory's name, end it with one.\n"
		"\n"
		"Without COMMAND you get the guest's console; exit ends it, Ctrl-A X kills it.\n"
		"One COMMAND word is a script for the guest's shell, several are a program and\n"
		"its arguments. It is run as root, with no stdin.\n"
		"\n"
		"Exit status: that of COMMAND; 2 usage; 3 a sync of an image failed, writes\n"
		"may be lost; 125 the guest could not be started or ended too early;\n"
		"128 + N signal N.",
};

static int usage_error(const char *what)
{
	fprintf(stderr, "vdax vm: %s; see: vdax vm --help\n", what);
	return EXIT_USAGE;
}

static int check_window(const struct vm_cfg *cfg)
{
	uint64_t most = vm_window_most(cfg->share.n);

	if (cfg->dax <= most && cfg->dax % FS_DAX_RANGE == 0)
		return EXIT_OK;
	fprintf(stderr,
		"vdax vm: --dax wants a multiple of 2M up to %" PRIu64 "M%s; see: vdax vm --help\n",
		most >> 20, cfg->share.n > 1 ? " for each of so many directories" : "");
	return EXIT_USAGE;
}

static int check_config(const struct vm_cfg *cfg, bool command)
{
	if (cfg->accel && strcmp(cfg->accel, "kvm") && strcmp(cfg->accel, "tcg"))
		return usage_error("--accel wants kvm or tcg");
	if (!cfg->cpus)
		return usage_error("--cpus wants at least 1");
	if (cfg->modules && (!cfg->kernel || !strchr(cfg->kernel, '/')))
		return usage_error("--modules goes with --kernel FILE");
	if (cfg->pmem.n + cfg->share.n + (cfg->root != NULL) > VM_DEVICES_MAX)
		return usage_error("too many images and directories for one VM");
	if (cfg->dax && !cfg->share.n)
		return usage_error("--dax goes with --share; images have it anyway");
	if (cfg->dax && cfg->dax != UINT64_MAX && check_window(cfg))
		return EXIT_USAGE;
	if (cfg->log && !command)
		return usage_error("--log goes with a COMMAND; the console shows it otherwise");
	if (!command && !cfg->root && !cfg->dry_run && !isatty(STDIN_FILENO))
		return usage_error("stdin is not a terminal for a console; "
				   "give a COMMAND after --");
	return EXIT_OK;
}

/* Adds the size of an image to *sum. 0 or -errno after a message; the rest the daemon checks. */
static int add_size(const char *path, uint64_t *sum)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t size = 0;
	struct stat st;
	int ret = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		ret = -errno;
		log_err(path, "%s%s", strerror(-ret),
			ret == -ENOENT ? "; make it with: vdax pmem --create SIZE IMAGE, then "
					 "mkfs.ext4 -b 4096 IMAGE"
				       : "");
	} else if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &size) < 0)
			ret = -errno;
	} else {
		size = (uint64_t)st.st_size;
	}
	fd_close(&fd);
	*sum += size;
	return ret;
}

/* The images, and the memory that they and the windows take. */
static int plan_images(struct vm_plan *plan, const struct vm_cfg *cfg)
{
	struct vm_machine *m = &plan->machine;
	bool choose = cfg->dax == UINT64_MAX;
	uint64_t bytes = choose ? 0 : cfg->dax * cfg->share.n;
	int ret = 0;

	if (cfg->root)
		plan->images[m->n_images++] = cfg->root;
	for (unsigned i = 0; i < cfg->pmem.n; i++)
		plan->images[m->n_images++] = cfg->pmem.v[i];
	for (unsigned i = 0; !ret && i < m->n_images; i++)
		ret = add_size(plan->images[i], &bytes);
	if (!ret)
		ret = vm_memory_choose(&m->memory, bytes);
	m->window = choose ? vm_window_default(m->memory, cfg->share.n) : cfg->dax;
	return ret;
}

static int plan_kernel(struct vm_plan *plan, const struct vm_cfg *cfg)
{
	const struct vm_kernel *k = &plan->kernel;
	int ret = vm_kernel_find(&plan->kernel, &plan->lab, cfg->kernel, cfg->modules);

	if (ret)
		return ret;
	plan->machine.kernel = k->image;
	if (plan->machine.n_images && !kernel_knows_regions(k->release)) {
		log_err(k->release,
			"the virtio-pmem driver of this kernel does not know shared-memory regions "
			"(VIRTIO_PMEM_F_SHMEM_REGION, Linux 6.8) and cannot find an image. "
			"Take --kernel 6.12 or newer");
		return -ENOTSUP;
	}
	return 0;
}

static int plan_shares(struct vm_plan *plan, const struct vm_cfg *cfg)
{
	struct vm_machine *m = &plan->machine;
	int ret = vm_shares_check(plan->shares, cfg->share.n);

	m->shares = plan->shares;
	m->n_shares = cfg->share.n;
	if (!ret && m->n_shares)
		plan->share_sandbox = vm_share_sandbox();
	return ret;
}

/* Fills the rest but the machine's directory and files. 0 or -errno after a message. */
static int make_plan(struct vm_plan *plan, const struct vm_cfg *cfg, char **command)
{
	ssize_t n = readlink("/proc/self/exe", plan->self, sizeof(plan->self) - 1);
	int ret;

	if (n < 0)
		return -errno;
	plan->read_only = cfg->read_only;
	plan->sparse = cfg->sparse;
	plan->additions = &cfg->add;
	plan->command = command;
	plan->machine = (struct vm_machine){
		.qemu = plan->qemu,
		.kvm = cfg->accel ? !strcmp(cfg->accel, "kvm") : kvm_works(),
		.memory = cfg->memory,
		.cpus = cfg->cpus,
		.root = cfg->root != NULL,
		.console = !*command,
		.log = cfg->log,
		.append = cfg->append,
	};
	ret = plan_images(plan, cfg);
	if (!ret)
		ret = plan_shares(plan, cfg);
	if (!ret)
		ret = vm_lab_find(&plan->lab);
	if (!ret)
		ret = plan_kernel(plan, cfg);
	return ret ? ret
		   : qemu_find(plan->qemu, &plan->lab, cfg->qemu,
			       plan->machine.n_images || plan->machine.window);
}

unsigned vm_daemons(const struct vm_plan *plan)
{
	return plan->machine.n_images + plan->machine.n_shares;
}

const char *vm_daemon_socket(char *buf, size_t len, const struct vm_plan *plan, unsigned i)
{
	bool image = i < plan->machine.n_images;

	snprintf(buf, len, "%s/%s%u.sock", plan->machine.dir, image ? "pmem" : "fs",
		 image ? i : i - plan->machine.n_images);
	return buf;
}

const char *vm_daemon_name(const struct vm_plan *plan, unsigned i)
{
	unsigned n = plan->machine.n_images;

	return i < n ? plan->images[i] : plan->shares[i - n].dir;
}

static void share_args(struct args *a, const struct vm_plan *plan, unsigned i, const char *socket)
{
	const struct vm_share_how how = {
		.self = plan->self,
		.socket = socket,
		.sandbox = plan->share_sandbox,
		.read_only = plan->read_only,
		.pmem = plan->machine.n_images,
		.window = plan->machine.window,
		.queues = vm_share_queues(plan->machine.cpus),
	};

	vm_share_args(a, &plan->shares[i], &how);
}

void vm_daemon_args(struct args *a, const struct vm_plan *plan, unsigned i)
{
	char socket[PATH_MAX];

	vm_daemon_socket(socket, sizeof(socket), plan, i);
	if (i >= plan->machine.n_images) {
		share_args(a, plan, i - plan->machine.n_images, socket);
		return;
	}
	args_add(a, "%s", plan->self);
	args_add(a, "pmem");
	args_add(a, "--once");
	args_add(a, "--quiet");
	if (plan->machine.window) /* each mapping there is a region of memory */
		args_add(a, "--memory-slots");
	if (plan->read_only)
		args_add(a, "--read-only");
	if (plan->sparse)
		args_add(a, "--sparse");
	args_add(a, "--socket-path=%s", socket);
	if (plan->images[i][0] == '-')
		args_add(a, "--");
	args_add(a, "%s", plan->images[i]);
}

void vm_initramfs_args(struct args *a, const struct vm_plan *plan)
{
	const char *dir = plan->machine.dir;

	args_add(a, "%s/initramfs", plan->lab.scripts);
	vm_kernel_args(a, &plan->kernel);
	if (*plan->command)
		args_add(a, "--add=%s/command:/command", dir);
	for (unsigned i = 0; i < plan->additions->n; i++)
		args_add(a, "--add=%s", plan->additions->v[i]);
	args_add(a, "%s/initramfs", dir);
}

void vm_write_command(FILE *f, char *const *command)
{
	if (command[0] && !command[1]) {
		fprintf(f, "%s\n", command[0]);
		return;
	}
	for (; *command; command++) {
		shell_quote(f, *command);
		fputc(command[1] ? ' ' : '\n', f);
	}
}

static void print_command(void (*make)(struct args *a, const struct vm_plan *plan, unsigned i),
			  const struct vm_plan *plan, unsigned i, const char *end)
{
	struct args a = { .n = 0 };

	make(&a, plan, i);
	args_print(stdout, &a);
	fputs(end, stdout);
	args_fini(&a);
}

static void make_initramfs(struct args *a, const struct vm_plan *plan, unsigned i)
{
	(void)i;
	vm_initramfs_args(a, plan);
}

static void make_qemu(struct args *a, const struct vm_plan *plan, unsigned i)
{
	(void)i;
	qemu_args(a, &plan->machine);
}

/* Commands for a shell that do what the plan says, with sockets at a fixed place. */
static void print_plan(struct vm_plan *plan)
{
	struct vm_machine *m = &plan->machine;
	char socket[64];

	m->dir = "/tmp/vdax-vm";
	m->out = "/tmp/vdax-vm/stdout";
	m->err = "/tmp/vdax-vm/stderr";
	if (!m->log)
		m->log = "/tmp/vdax-vm/log";
	printf("mkdir -p -m 700 %s\n", m->dir);
	for (unsigned i = 0; i < vm_daemons(plan); i++)
		print_command(vm_daemon_args, plan, i, " &\n");
	if (*plan->command) {
		printf("cat >%s/command <<'END'\n", m->dir);
		vm_write_command(stdout, plan->command);
		printf("END\n");
	}
	print_command(make_initramfs, plan, 0, "\n");
	for (unsigned i = 0; i < vm_daemons(plan); i++)
		printf("until [ -S %s ]; do sleep 0.1; done\n",
		       vm_daemon_socket(socket, sizeof(socket), plan, i));
	if (m->window)
		printf("ulimit -S -n \"$(ulimit -H -n)\"\n");
	print_command(make_qemu, plan, 0, "\n");
}

int cmd_vm(int argc, char **argv)
{
	static struct vm_plan plan; /* static: it is large, and points into cfg */
	static struct vm_cfg cfg = { .cpus = 1 };
	int i = options_parse(&vm_command, argc, argv, &cfg);
	int ret;

	if (i <= 0)
		return i ? EXIT_USAGE : EXIT_OK;
	if (i < argc && strcmp(argv[i - 1], "--"))
		return usage_error("a COMMAND goes after --, an image after --pmem");
	ret = check_config(&cfg, i < argc);
	if (ret)
		return ret;
	if (vm_shares_parse(plan.shares, &cfg.share, cfg.pmem.n + (cfg.root != NULL)))
		return EXIT_USAGE;
	if (make_plan(&plan, &cfg, argv + i))
		return EXIT_VM_FAILED;
	if (!cfg.dry_run)
		return vm_run(&plan);
	print_plan(&plan);
	return EXIT_OK;
}
