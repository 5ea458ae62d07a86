/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target without libFuzzer: each file given, or else each seed and mutations
 * of it from a fixed start, VDAX_FUZZ_RUNS in all. What a failed run was fed is left in
 * the file fuzz-input of the working directory, to be given as an argument. With --seeds DIR it
 * only writes the seeds there, for libFuzzer.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/fuzz/fuzz.h"

#define MAX_INPUT    16384u
#define DEFAULT_RUNS 50000u
#define HOT_BYTES    512u /* of an input: where most mutations go */
#define RUN_SECONDS  10u  /* for one input: more is an endless loop */

static _Alignas(16) uint8_t input[MAX_INPUT];
static size_t input_size;
static int here; /* the working directory that we began in: a target may change it */

static void save_input(int sig)
{
	int fd = openat(here, "fuzz-input", O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd >= 0 && write(fd, input, input_size) == (ssize_t)input_size)
		close(fd);
	signal(sig, SIG_DFL);
	raise(sig);
}

static uint32_t random32(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

/* Overwrites 1, 2, 4 or 8 bytes, mostly with a value that is at some edge. */
static void mutate(void)
{
	static const uint64_t edges[] = { 0,	   1,	     2,		 3,	    7,
					  8,	   15,	     16,	 127,	    128,
					  0x1000,  0x7fff,   0x8000,	 0xffff,    0x10000,
					  1 << 24, 1u << 31, UINT32_MAX, INT64_MAX, UINT64_MAX };
	size_t limit = random32() % 8 ? MIN(HOT_BYTES, input_size) : input_size;
	size_t width = (size_t)1 << random32() % 4;
	size_t at = random32() % limit / width * width;
	uint64_t v = edges[random32() % ARRAY_SIZE(edges)];

	if (random32() % 4 == 0)
		v = random32();
	for (size_t i = 0; i < width && at + i < input_size; i++)
		input[at + i] = (uint8_t)(v >> 8 * i);
}

static void run(void)
{
	alarm(RUN_SECONDS);
	LLVMFuzzerTestOneInput(input, input_size);
	alarm(0);
}

static int run_files(char **names)
{
	for (; *names; names++) {
		int fd = openat(here, *names, O_RDONLY);
		ssize_t n = read(fd, input, sizeof(input));

		if (n < 0) {
			perror(*names);
			return 1;
		}
		close(fd);
		input_size = (size_t)n;
		run();
	}
	return 0;
}

static int write_seeds(const char *dir)
{
	for (unsigned i = 0; (input_size = fuzz_seed(i, input, sizeof(input))); i++) {
		char path[4096];
		int fd;

		snprintf(path, sizeof(path), "%s/seed-%u", dir, i);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
		if (fd < 0 || write(fd, input, input_size) != (ssize_t)input_size) {
			perror(path);
			return 1;
		}
		close(fd);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *s = getenv("VDAX_FUZZ_RUNS");
	unsigned long runs = s ? strtoul(s, NULL, 0) : DEFAULT_RUNS, done = 0;
	unsigned seeds = 0;

	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (argc == 3 && !strcmp(argv[1], "--seeds"))
		return write_seeds(argv[2]);
	if (argc > 1)
		return run_files(argv + 1);
	signal(SIGABRT, save_input);
	signal(SIGALRM, save_input);
	while (fuzz_seed(seeds, input, sizeof(input))) {
		input_size = fuzz_seed(seeds++, input, sizeof(input));
		run();
	}
	for (; done < runs; done++) {
		memset(input, 0, sizeof(input));
		input_size = fuzz_seed((unsigned)(done % seeds), input, sizeof(input));
		for (unsigned n = 1 + random32() % 6; n--;)
			mutate();
		run();
	}
	printf("%u seeds, %lu mutations of them\n", seeds, done);
	return 0;
}
