/* SPDX-License-Identifier: BSD-2-Clause */
/* host/log.c: what ends up on stderr. */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/log.h"
#include "tests/lib/check.h"

/* What fn() wrote to stderr; it must fit a pipe. */
static const char *captured(void (*fn)(void))
{
	static char buf[65536];
	int fds[2], saved = dup(STDERR_FILENO);
	size_t n = 0;
	ssize_t got;

	REQUIRE(saved >= 0 && pipe(fds) == 0 && dup2(fds[1], STDERR_FILENO) >= 0);
	fn();
	dup2(saved, STDERR_FILENO);
	close(fds[1]);
	while ((got = read(fds[0], buf + n, sizeof(buf) - 1 - n)) > 0)
		n += (size_t)got;
	close(fds[0]);
	close(saved);
	buf[n] = 0;
	return buf;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static void every_level(void)
{
	log_err("obj", "a %d", 1);
	log_warn("obj", "b %s", "two");
	log_info(NULL, "c");
	log_debug("obj", "d");
}

static void test_levels(void)
{
	CHECK(!strcmp(captured(every_level), "vdax: obj: error: a 1\n"
					     "vdax: obj: warning: b two\n"
					     "vdax: c\n"));
	log_set_level(LOG_LEVEL_DEBUG);
	CHECK_EQ("debug", count(captured(every_level), "vdax: obj: debug: d\n"), 1);
	log_set_level(LOG_LEVEL_ERR);
	CHECK(!strcmp(captured(every_level), "vdax: obj: error: a 1\n"));
	log_set_level(LOG_LEVEL_INFO);
}

static char filler[3000];
static unsigned filler_len;

static void long_message(void)
{
	log_err("obj", "%.*s", (int)filler_len, filler);
}

static void long_object(void)
{
	/* Just longer than a line: what is written behind it hits the sanitizer's red zone. */
	log_err(filler + sizeof(filler) - 1 - 1020, "message");
}

/* Cut to one line, whatever the length. */
static void test_long(void)
{
	const char *text;

	memset(filler, 'x', sizeof(filler) - 1);
	for (filler_len = 980; filler_len < 1030; filler_len++) {
		text = captured(long_message);
		CHECK_EQ("one line", count(text, "\n"), 1);
		CHECK(strlen(text) <= 1024 && text[strlen(text) - 1] == '\n');
		if (strlen(text) < 1023)
			CHECK_EQ("all of it", strlen(text),
				 filler_len + strlen("vdax: obj: error: \n"));
	}
	text = captured(long_object);
	CHECK_EQ("one line", count(text, "\n"), 1);
	CHECK(strlen(text) <= 1024);
}

static const char *strange;

static void strange_message(void)
{
	log_err("obj\033[2J", "%s|", strange);
}

/* What a guest may have chosen does nothing to a terminal, and fakes no line. */
static const struct {
	const char *name, *text, *want;
} strange_cases[] = {
	{ "printable", " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~",
	  " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~" },
	{ "a line of its own", "a\nvdax: error: b", "a\\x0avdax: error: b" },
	{ "control characters", "\001\t\r\037\177", "\\x01\\x09\\x0d\\x1f\\x7f" },
	{ "an escape sequence", "\033]0;title\007", "\\x1b]0;title\\x07" },
	{ "beyond ASCII", "\200\237\302\205\377", "\\x80\\x9f\\xc2\\x85\\xff" },
};

static void test_strange(void)
{
	char want[256], most[1024];
	const char *text;

	for (size_t i = 0; i < ARRAY_SIZE(strange_cases); i++) {
		strange = strange_cases[i].text;
		snprintf(want, sizeof(want), "vdax: obj\\x1b[2J: error: %s|\n",
			 strange_cases[i].want);
		CHECK_NAMED(strange_cases[i].name, !strcmp(captured(strange_message), want));
	}
	/* The longest line is as long as ever, and ends with a whole escape. */
	memset(most, '\001', sizeof(most) - 1);
	most[sizeof(most) - 1] = '\0';
	strange = most;
	text = captured(strange_message);
	CHECK_EQ("one line", count(text, "\n"), 1);
	CHECK_NAMED("cut", strlen(text) <= 1024 && strlen(text) > 1000);
	CHECK_NAMED("at an escape", !strcmp(text + strlen(text) - 5, "\\x01\n"));
}

static void guest_storm(void)
{
	for (unsigned i = 0; i < 1000; i++)
		log_guest("obj", "storm");
}

static struct log_limit old_limit;

static void after_a_storm(void)
{
	CHECK(log_allowed(&old_limit, "obj"));
}

static void test_limit(void)
{
	struct timespec now;

	CHECK_EQ("first burst", count(captured(guest_storm), "warning: storm\n"), 5);
	CHECK_EQ("then silence", strlen(captured(guest_storm)), 0);

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < 20)
		return; /* just booted: no window can have passed */
	old_limit = (struct log_limit){ .window = 1, .count = 12 };
	CHECK_EQ("says what was dropped", count(captured(after_a_storm), "obj: warning: 7 more"),
		 1);
	CHECK_EQ("a new window", old_limit.count, 1);
	old_limit = (struct log_limit){ .window = 1, .count = 5 };
	CHECK_EQ("nothing was dropped", strlen(captured(after_a_storm)), 0);
}

#define LINE "................................................"

static void *write_lines(void *arg)
{
	for (unsigned i = 0; i < 100; i++) {
		log_err("obj", "%s" LINE, (const char *)arg);
		log_guest("obj", "limit");
	}
	return NULL;
}

static void two_threads(void)
{
	static char name_a[] = "a", name_b[] = "b";
	pthread_t a, b;

	REQUIRE(pthread_create(&a, NULL, write_lines, name_a) == 0);
	REQUIRE(pthread_create(&b, NULL, write_lines, name_b) == 0);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

static void test_threads(void)
{
	const char *text = captured(two_threads);

	CHECK_EQ("a", count(text, "vdax: obj: error: a" LINE "\n"), 100);
	CHECK_EQ("b", count(text, "vdax: obj: error: b" LINE "\n"), 100);
	CHECK_EQ("limit", count(text, "vdax: obj: warning: limit\n"), 5);
}

int main(void)
{
	test_levels();
	test_long();
	test_strange();
	test_limit();
	test_threads();
	return check_done();
}
