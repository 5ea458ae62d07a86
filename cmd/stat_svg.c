/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The picture is drawn from the top: name, a row of numbers, the legend, then the cells with the
 * offsets of their rows. All cells of a kind are one path, so 4096 of them stay a small file.
 */
#include <inttypes.h>
#include <string.h>

#include "base/macros.h"
#include "cmd/stat_picture.h"

#define MARGIN	   32u
#define LABELS	   72u	/* left of the cells: offsets */
#define GRID	   896u /* all cells of a row */
#define WIDTH	   (MARGIN + LABELS + GRID + MARGIN)
#define GRID_TOP   208u
#define FEW_CELLS  512u /* up to so many, they are larger */
#define NAME_CHARS 96u

struct grid {
	unsigned columns, pitch, side; /* cells of a row; pixels from one to the next, and of one */
	unsigned label_every;	       /* rows */
};

/* The length of the character of UTF-8 at s, if it is one and may be in XML; else 0. */
static size_t utf8_char(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c;

	if (len < 2 || s[0] >= 0xf8)
		return len == 1 && s[0] >= 0x20 && s[0] != 0x7f;
	c = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || (c & 0xfffe) == 0xfffe)
		return 0;
	return c >= 0x80 && c < 0xa0 ? 0 : len;
}

/* At most max characters of text, which came from elsewhere. */
static void print_text(FILE *f, const char *text, size_t max)
{
	static const char *const entities[] = {
		['&'] = "&amp;",
		['<'] = "&lt;",
		['>'] = "&gt;",
		['"'] = "&quot;",
	};
	size_t n = 0;

	for (const unsigned char *s = (const unsigned char *)text; *s; n++) {
		size_t len = utf8_char(s);

		if (n == max) {
			fputs("…", f);
			return;
		}
		if (!len)
			fputc('?', f);
		else if (*s < ARRAY_SIZE(entities) && entities[*s])
			fputs(entities[*s], f);
		else
			fwrite(s, 1, len, f);
		s += len ? len : 1;
	}
}

static void print_head(FILE *f, const struct stat_window *w, const struct stat_answer *a,
		       unsigned height)
{
	const char *share = stat_answer_find(a, "share"), *tag = stat_answer_find(a, "tag");
	const char *name = tag ? tag : share ? share : "vdax fs";
	char size[STAT_BYTES_LEN], cell[STAT_BYTES_LEN];

	fprintf(f,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"viewBox=\"0 0 %u %u\" role=\"img\"\n"
		"     font-family=\"system-ui, 'DejaVu Sans', Arial, sans-serif\" fill=\"#1d2733\">\n"
		"<title>DAX window of ",
		WIDTH, height, WIDTH, height);
	print_text(f, name, SIZE_MAX);
	fprintf(f,
		"</title>\n<rect width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n"
		"<text x=\"%u\" y=\"50\" font-size=\"24\" font-weight=\"600\">DAX window of ",
		WIDTH, height, MARGIN);
	print_text(f, name, NAME_CHARS / 2);
	fprintf(f, "</text>\n<text x=\"%u\" y=\"74\" font-size=\"13\" fill=\"#5b6875\">", MARGIN);
	fprintf(f, "%s, %zu cells of %s", stat_bytes(size, w->n[STAT_WINDOW_BYTES]), w->n_cells,
		stat_bytes(cell, w->n[STAT_WINDOW_CELL]));
	if (share) {
		fputs(" · ", f);
		print_text(f, share, NAME_CHARS);
	}
	fputs("</text>\n", f);
}

/* A number with what it is above it, and more about it below. */
static void print_tile(FILE *f, unsigned i, const char *what, const char *number, const char *more)
{
	unsigned x = MARGIN + i * ((WIDTH - 2 * MARGIN) / 6);

	fprintf(f,
		"<text x=\"%u\" y=\"104\" font-size=\"12\" fill=\"#5b6875\">%s</text>\n"
		"<text x=\"%u\" y=\"129\" font-size=\"21\" font-weight=\"600\">%s</text>\n"
		"<text x=\"%u\" y=\"147\" font-size=\"12\" fill=\"#5b6875\">%s</text>\n",
		x, what, x, number, x, more);
}

static double percent(uint64_t part, uint64_t all)
{
	return all ? 100 * (double)part / (double)all : 0;
}

#define TEXT(buf, ...) (snprintf(buf, sizeof(buf), __VA_ARGS__), (buf))

/* How often, or since when, if there are no rates. */
static const char *rate_text(char buf[64], const struct stat_rates *rates,
			     enum stat_window_number i)
{
	if (rates)
		snprintf(buf, 64, "%.1f per second", rates->window_s[i]);
	else
		snprintf(buf, 64, "since the start");
	return buf;
}

static void print_tiles(FILE *f, const struct stat_window *w, const struct stat_rates *rates)
{
	const uint64_t *n = w->n;
	char a[STAT_BYTES_LEN], b[64], c[64];

	print_tile(f, 0, "owned by the guest", stat_bytes(a, n[STAT_WINDOW_OWNED]),
		   TEXT(b, "%.0f %% of the window",
			percent(n[STAT_WINDOW_OWNED], n[STAT_WINDOW_BYTES])));
	print_tile(f, 1, "mappings", TEXT(b, "%" PRIu64, n[STAT_WINDOW_MAPPINGS]),
		   TEXT(c, "%" PRIu64 " owned, %" PRIu64 " files", n[STAT_WINDOW_OWNED_MAPPINGS],
			n[STAT_WINDOW_FILES]));
	print_tile(f, 2, "setups", TEXT(b, "%" PRIu64, n[STAT_WINDOW_SETUPS]),
		   rate_text(c, rates, STAT_WINDOW_SETUPS));
	print_tile(f, 3, "setups without a map",
		   TEXT(b, "%.0f %%", percent(n[STAT_WINDOW_HITS], n[STAT_WINDOW_SETUPS])),
		   TEXT(c, "%" PRIu64 " hits", n[STAT_WINDOW_HITS]));
	print_tile(f, 4, "maps", TEXT(b, "%" PRIu64, n[STAT_WINDOW_MAPS]),
		   rate_text(c, rates, STAT_WINDOW_MAPS));
	print_tile(f, 5, "private copies", stat_bytes(a, n[STAT_WINDOW_COPIES]),
		   TEXT(c, "%" PRIu64 " maps refused", n[STAT_WINDOW_REFUSED]));
}

static void print_legend(FILE *f, const struct stat_window *w)
{
	unsigned x = MARGIN;
	uint64_t n[STAT_CELLS];
	char text[64];

	stat_cells_count(w, n);
	for (unsigned i = 0; i < STAT_CELLS; i++) {
		if (i == STAT_CELL_UNKNOWN && !n[i])
			continue;
		snprintf(text, sizeof(text), "%s: %" PRIu64, stat_cells[i].name, n[i]);
		fprintf(f,
			"<rect x=\"%u\" y=\"171\" width=\"12\" height=\"12\" rx=\"2\" fill=\"%s\"/>"
			"<text x=\"%u\" y=\"181\" font-size=\"12\">%s</text>\n",
			x, stat_cells[i].fill, x + 18, text);
		x += 18 + (unsigned)strlen(text) * 13 / 2 + 26;
	}
}

static void print_cells(FILE *f, const struct stat_window *w, const struct grid *g)
{
	uint64_t n[STAT_CELLS];

	stat_cells_count(w, n);
	for (unsigned kind = 0; kind < STAT_CELLS; kind++) {
		if (!n[kind])
			continue;
		fprintf(f, "<path fill=\"%s\" d=\"", stat_cells[kind].fill);
		for (unsigned i = 0; i < w->n_cells; i++)
			if (stat_cell_of(w->cells[i]) == kind)
				fprintf(f, "M%u %uh%uv%uh-%uz",
					MARGIN + LABELS + i % g->columns * g->pitch,
					GRID_TOP + i / g->columns * g->pitch, g->side, g->side,
					g->side);
		fputs("\"/>\n", f);
	}
}

static void print_offsets(FILE *f, const struct stat_window *w, const struct grid *g)
{
	char at[STAT_BYTES_LEN];

	fputs("<g font-size=\"11\" fill=\"#5b6875\" text-anchor=\"end\">\n", f);
	for (unsigned row = 0; row * (size_t)g->columns < w->n_cells; row += g->label_every)
		fprintf(f, "<text x=\"%u\" y=\"%u\">%s</text>\n", MARGIN + LABELS - 10,
			GRID_TOP + row * g->pitch + g->side / 2 + 4,
			stat_bytes_exact(at, (uint64_t)row * g->columns * w->n[STAT_WINDOW_CELL]));
	fputs("</g>\n", f);
}

void stat_print_svg(FILE *f, const struct stat_window *w, const struct stat_answer *a,
		    const struct stat_rates *rates)
{
	static const struct grid few = { 32, 28, 25, 1 }, many = { 64, 14, 12, 2 };
	const struct grid *g = w->n_cells <= FEW_CELLS ? &few : &many;
	unsigned rows = (unsigned)((w->n_cells + g->columns - 1) / g->columns);

	_Static_assert(32 * 28 == GRID && 64 * 14 == GRID, "as wide as there is room");
	print_head(f, w, a, GRID_TOP + rows * g->pitch + MARGIN);
	print_tiles(f, w, rates);
	print_legend(f, w);
	print_offsets(f, w, g);
	print_cells(f, w, g);
	fputs("</svg>\n", f);
}
