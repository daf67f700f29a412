/* SPDX-License-Identifier: MIT */
/*
 * A mutator for DER (X.690) behind a selector byte: elements are dropped, doubled, exchanged or
 * changed inside, and the lengths of those around them follow.  Without that nearly every mutant
 * ends at the parser's first length.
 */
#include <string.h>

#include "mutate.h"

enum { SELECTOR = 1, NODES = 256, DEPTH = 24, SCRATCH = 1 << 16, NONE = -1 };

struct node {
	size_t at, header, len; /* of the whole element: header + len */
	int parent;
};

struct tree {
	struct node node[NODES];
	int count;
};

struct bytes {
	uint8_t *data;
	size_t size, max;
};

/* The header of the element at AT; false where there is none that ends before END. */
static bool read_header(const uint8_t *data, size_t at, size_t end, struct node *node)
{
	size_t len, more;

	if (end - at < 2 || (data[at] & 0x1f) == 0x1f)
		return false;
	len = data[at + 1];
	more = len > 0x80 ? len - 0x80 : 0;
	if (len == 0x80 || more > 3 || end - at < 2 + more)
		return false;
	if (more)
		len = 0;
	for (size_t i = 0; i < more; i++)
		len = len << 8 | data[at + 2 + i];
	*node = (struct node){ .at = at, .header = 2 + more, .len = len };
	return len <= end - at - node->header;
}

static void read_tree(const uint8_t *data, size_t at, size_t end, int parent, int depth,
		      struct tree *tree)
{
	struct node node;

	while (at < end && tree->count < NODES && read_header(data, at, end, &node)) {
		int self = tree->count++;

		node.parent = parent;
		tree->node[self] = node;
		at += node.header;
		if ((data[node.at] & 0x20) && depth < DEPTH)
			read_tree(data, at, at + node.len, self, depth + 1, tree);
		at += node.len;
	}
}

/* Puts NEW where LEN bytes are at AT; false, and nothing done, where it does not fit. */
static bool splice(struct bytes *b, size_t at, size_t len, const uint8_t *new, size_t new_len)
{
	if (b->size - len + new_len > b->max)
		return false;
	memmove(b->data + at + new_len, b->data + at + len, b->size - at - len);
	memcpy(b->data + at, new, new_len);
	b->size = b->size - len + new_len;
	return true;
}

static size_t write_length(uint8_t *to, size_t len)
{
	size_t n = 0;

	if (len < 0x80) {
		to[0] = (uint8_t)len;
		return 1;
	}
	for (size_t rest = len; rest; rest >>= 8)
		n++;
	to[0] = (uint8_t)(0x80 | n);
	for (size_t i = 0; i < n; i++)
		to[1 + i] = (uint8_t)(len >> 8 * (n - 1 - i));
	return n + 1;
}

/* The elements from FIRST outwards have grown by GROWN bytes inside: says so in their headers. */
static void mend(struct bytes *b, const struct tree *tree, int first, ptrdiff_t grown)
{
	for (int i = first; i != NONE; i = tree->node[i].parent) {
		const struct node *node = &tree->node[i];
		uint8_t length[8];
		size_t n = write_length(length, (size_t)((ptrdiff_t)node->len + grown));

		if (!splice(b, node->at + 1, node->header - 1, length, n))
			return;
		grown += (ptrdiff_t)(n + 1) - (ptrdiff_t)node->header;
	}
}

static void replace(struct bytes *b, const struct tree *tree, const struct node *node,
		    const uint8_t *new, size_t new_len)
{
	size_t len = node->header + node->len;

	if (splice(b, node->at, len, new, new_len))
		mend(b, tree, node->parent, (ptrdiff_t)new_len - (ptrdiff_t)len);
}

static void change_content(struct bytes *b, const struct tree *tree, int i, uint8_t *scratch)
{
	const struct node *node = &tree->node[i];
	size_t most = node->len + 64 < SCRATCH ? node->len + 64 : SCRATCH;
	size_t len;

	if (node->len > most)
		return;
	memcpy(scratch, b->data + node->at + node->header, node->len);
	len = LLVMFuzzerMutate(scratch, node->len, most);
	if (splice(b, node->at + node->header, node->len, scratch, len))
		mend(b, tree, i, (ptrdiff_t)len - (ptrdiff_t)node->len);
}

/* Behind itself, or in the place of another one. */
static void copy(struct bytes *b, const struct tree *tree, const struct node *from,
		 const struct node *to, uint8_t *scratch)
{
	size_t len = from->header + from->len, kept = 0;

	if (from == to)
		kept = len;
	if (kept + len > SCRATCH)
		return;
	memcpy(scratch, b->data + from->at, kept);
	memcpy(scratch + kept, b->data + from->at, len);
	replace(b, tree, to, scratch, kept + len);
}

static void mutate(struct bytes *b, struct tree *tree, unsigned int seed, uint8_t *scratch)
{
	static const uint8_t tags[] = { 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x17, 0x18,
					0x24, 0x30, 0x31, 0x80, 0xa0, 0xa1, 0x1e, 0x01 };
	int i = (int)mutate_below(&seed, (size_t)tree->count);
	int k = (int)mutate_below(&seed, (size_t)tree->count);

	switch (mutate_below(&seed, 6)) {
	case 0:
		replace(b, tree, &tree->node[i], scratch, 0);
		break;
	case 1:
		copy(b, tree, &tree->node[i], &tree->node[i], scratch);
		break;
	case 2:
		copy(b, tree, &tree->node[i], &tree->node[k], scratch);
		break;
	case 3:
		b->data[tree->node[i].at] = tags[mutate_below(&seed, sizeof(tags))];
		break;
	default:
		change_content(b, tree, i, scratch);
		break;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static uint8_t scratch[SCRATCH];
	static struct tree tree;
	struct bytes b = { data, size, max_size };
	size_t steps = mutate_below(&seed, 4);

	/* A part of the mutants is left to libFuzzer alone: selectors, BER, broken lengths. */
	if (!steps)
		return LLVMFuzzerMutate(data, size, max_size);
	while (steps--) {
		tree.count = 0;
		read_tree(b.data, SELECTOR, b.size, NONE, 0, &tree);
		if (!tree.count)
			return LLVMFuzzerMutate(data, b.size, max_size);
		mutate(&b, &tree, mutate_next(&seed), scratch);
	}
	return b.size;
}
