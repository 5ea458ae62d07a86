/* SPDX-License-Identifier: BSD-2-Clause */
/* One table says which key is which metric; what is not in it is for people only. */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/macros.h"
#include "cmd/stat_print.h"

enum metric_type { COUNTER, GAUGE, SECONDS_COUNTER, SECONDS_GAUGE };

struct metric {
	const char *key; /* with a dot, it has a label that is a part of the name */
	enum metric_type type;
	const char *name;
	const char *help;
	const char *label; /* what the key's label is called */
};

static const struct metric metrics[] = {
	{ "connected", GAUGE, "connected", "Is a front end connected?", NULL },
	{ "connections", COUNTER, "connections_total", "Front ends that have connected.", NULL },
	{ "messages", COUNTER, "messages_total", "Messages of front ends.", NULL },
	{ "notifications", COUNTER, "notifications_total", "Notifications sent to the guest.",
	  NULL },
	{ "read_only", GAUGE, "read_only", "Are writes refused or discarded?", NULL },
	/* vdax pmem */
	{ "size", GAUGE, "pmem_size_bytes", "Size of the image.", NULL },
	{ "mappings_made", COUNTER, "pmem_mappings_made_total", "Starts that mapped the image.",
	  NULL },
	{ "mappings_kept", COUNTER, "pmem_mappings_kept_total",
	  "Starts that found the image mapped.", NULL },
	{ "flushes", COUNTER, "pmem_flushes_total", "Flush requests taken.", NULL },
	{ "flushes_done", COUNTER, "pmem_flushes_done_total",
	  "Flush requests covered by a finished sync.", NULL },
	{ "flushes_failed", COUNTER, "pmem_flushes_failed_total",
	  "Flush requests answered with an error.", NULL },
	{ "syncs", COUNTER, "pmem_syncs_total", "Syncs of the image.", NULL },
	{ "sync_ns_total", SECONDS_COUNTER, "pmem_sync_seconds_total",
	  "Time spent in syncs of the image.", NULL },
	{ "sync_ns_max", SECONDS_GAUGE, "pmem_sync_seconds_max", "The longest sync of the image.",
	  NULL },
	{ "latched_errno", GAUGE, "pmem_latched_errno", "The errno of the first failed sync, or 0.",
	  NULL },
	/* vdax fs */
	{ "session", GAUGE, "fs_session", "Has the guest a session?", NULL },
	{ "inodes", GAUGE, "fs_inodes", "Inodes that the guest knows.", NULL },
	{ "handles", GAUGE, "fs_handles", "Files and directories that the guest has open.", NULL },
	{ "mounts", GAUGE, "fs_mounts", "Mounts of the share that the guest has seen.", NULL },
	{ "inode_fds_cached", GAUGE, "fs_inode_fds_cached",
	  "Descriptors of inodes that can be closed.", NULL },
	{ "inode_fds_pinned", GAUGE, "fs_inode_fds_pinned", "Descriptors of inodes that stay open.",
	  NULL },
	{ "inode_fds_max", GAUGE, "fs_inode_fds_max", "Most descriptors of inodes.", NULL },
	{ "open_fds", GAUGE, "fs_open_fds", "Descriptors that the process has open.", NULL },
	{ "open_fds_max", GAUGE, "fs_open_fds_max", "Most descriptors of the process.", NULL },
	{ "locks_parked", GAUGE, "fs_locks_parked", "Requests that wait for a lock.", NULL },
	{ "window.bytes", GAUGE, "fs_window_bytes", "Size of the DAX window.", NULL },
	{ "window.setups", COUNTER, "fs_window_setups_total", "SETUPMAPPING requests.", NULL },
	{ "window.hits", COUNTER, "fs_window_setup_hits_total",
	  "Of them, those that needed no map by the front end.", NULL },
	{ "window.removals", COUNTER, "fs_window_removals_total",
	  "Ranges that the guest has given back.", NULL },
	{ "window.maps", COUNTER, "fs_window_maps_total", "Maps that the front end has made.",
	  NULL },
	{ "window.unmaps", COUNTER, "fs_window_unmaps_total",
	  "Maps that the front end has removed.", NULL },
	{ "window.refused", COUNTER, "fs_window_refused_total",
	  "Maps and removals that the front end has refused.", NULL },
	{ "window.ahead", COUNTER, "fs_window_ahead_total", "Maps of what was not asked for yet.",
	  NULL },
	{ "window.ahead_hits", COUNTER, "fs_window_ahead_hits_total",
	  "Of them, those that were asked for later.", NULL },
	{ "window.mappings", GAUGE, "fs_window_mappings", "Maps that there are.", NULL },
	{ "window.owned_mappings", GAUGE, "fs_window_owned_mappings",
	  "Of them, those of which the guest owns a part.", NULL },
	{ "window.owned", GAUGE, "fs_window_owned_bytes", "What the guest owns of the window.",
	  NULL },
	{ "window.copies", GAUGE, "fs_window_copies_bytes",
	  "Private copies of what cannot be mapped.", NULL },
	{ "window.files", GAUGE, "fs_window_files", "Files with a map.", NULL },
	{ "window.granted_files", GAUGE, "fs_window_granted_files",
	  "Files that the guest was told to map.", NULL },
	{ "window.granted", GAUGE, "fs_window_granted_bytes", "Their size.", NULL },
	{ "queue_popped", COUNTER, "fs_queue_popped_total", "Requests taken from the ring.",
	  "queue" },
	{ "queue_answered", COUNTER, "fs_queue_answered_total", "Requests answered.", "queue" },
	{ "queue_dropped", COUNTER, "fs_queue_dropped_total",
	  "Requests that a reset has made pointless.", "queue" },
	{ "queue_depth", GAUGE, "fs_queue_depth", "Requests taken and not yet answered.", "queue" },
};

static void print_label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", f);
		else if (*value == '"' || *value == '\\')
			fprintf(f, "\\%c", *value);
		else
			fputc(*value, f);
	}
	fputc('"', f);
}

static void print_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP vdax_%s %s\n# TYPE vdax_%s %s\n", name, help, name, type);
}

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

/* A decimal number of nanoseconds, exactly, as seconds. */
static void print_ns(FILE *f, uint64_t ns)
{
	fprintf(f, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
}

static void print_sample(FILE *f, const struct metric *m, const struct stat_line *l)
{
	uint64_t ns;

	fprintf(f, "vdax_%s", m->name);
	if (m->label) {
		fputc('{', f);
		print_label(f, m->label, l->label);
		fputc('}', f);
	}
	fputc(' ', f);
	if (m->type != SECONDS_COUNTER && m->type != SECONDS_GAUGE)
		fputs(l->value, f);
	else if (sscanf(l->value, "%" SCNu64, &ns) == 1)
		print_ns(f, ns);
	fputc('\n', f);
}

/* Is this line one of the metric's? */
static bool is_sample(const struct metric *m, const struct stat_line *l)
{
	size_t len = strcspn(m->key, ".");
	const char *label = m->key[len] ? m->key + len + 1 : NULL;

	if (strlen(l->key) != len || strncmp(l->key, m->key, len) != 0)
		return false;
	if (label)
		return l->label && !strcmp(l->label, label);
	return !l->label == !m->label;
}

static void print_metric(FILE *f, const struct stat_answer *a, const struct metric *m)
{
	bool counter = m->type == COUNTER || m->type == SECONDS_COUNTER, first = true;

	for (unsigned i = 0; i < a->n_lines; i++) {
		const struct stat_line *l = &a->line[i];

		if (!is_sample(m, l) || !is_number(l->value))
			continue;
		if (first)
			print_head(f, m->name, counter ? "counter" : "gauge", m->help);
		first = false;
		print_sample(f, m, l);
	}
}

/* What is served, as labels of a metric that is always 1. */
static void print_info(FILE *f, const struct stat_answer *a)
{
	static const char *const keys[] = { "device", "image", "kind", "mapping", "share", "tag" };
	const char *sep = "";

	print_head(f, "info", "gauge", "What is served.");
	fputs("vdax_info{", f);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = stat_answer_find(a, keys[i]);

		if (!value)
			continue;
		fputs(sep, f);
		print_label(f, keys[i], value);
		sep = ",";
	}
	fputs("} 1\n", f);
}

static void print_op_counter(FILE *f, const struct stat_answer *a, const char *name,
			     const char *help, bool errors)
{
	print_head(f, name, "counter", help);
	for (unsigned i = 0; i < a->n_ops; i++) {
		const struct stat_op *op = &a->op[i];

		fprintf(f, "vdax_%s{", name);
		print_label(f, "opcode", op->name);
		fprintf(f, "} %" PRIu64 "\n", errors ? op->errors : op->requests);
	}
}

#define HISTOGRAM "fs_request_duration_seconds"

static void print_bucket(FILE *f, const struct stat_op *op, uint64_t n, const uint64_t *bound)
{
	fputs("vdax_" HISTOGRAM "_bucket{", f);
	print_label(f, "opcode", op->name);
	fputs(",le=\"", f);
	if (bound)
		print_ns(f, *bound);
	else
		fputs("+Inf", f);
	fprintf(f, "\"} %" PRIu64 "\n", n);
}

static void print_histograms(FILE *f, const struct stat_answer *a)
{
	print_head(f, HISTOGRAM, "histogram",
		   "Time of requests from the ring to the answer, of those that were measured.");
	for (unsigned i = 0; i < a->n_ops; i++) {
		const struct stat_op *op = &a->op[i];
		uint64_t n = 0;

		for (unsigned b = 0; b <= a->n_bounds; b++) {
			n += op->latency[b];
			print_bucket(f, op, n, b < a->n_bounds ? &a->bound_ns[b] : NULL);
		}
		fputs("vdax_" HISTOGRAM "_sum{", f);
		print_label(f, "opcode", op->name);
		fputs("} ", f);
		print_ns(f, op->latency_sum_ns);
		fputs("\nvdax_" HISTOGRAM "_count{", f);
		print_label(f, "opcode", op->name);
		fprintf(f, "} %" PRIu64 "\n", n);
	}
}

void stat_print_prometheus(FILE *f, const struct stat_answer *a)
{
	print_info(f, a);
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		print_metric(f, a, &metrics[i]);
	if (!a->n_ops)
		return;
	print_op_counter(f, a, "fs_requests_total", "Requests answered.", false);
	print_op_counter(f, a, "fs_request_errors_total", "Requests answered with an error.", true);
	print_histograms(f, a);
}
