/* SPDX-License-Identifier: MIT */
/* Streams with another end: see splice.h. */
#include "splice.h"

bool fuzz_accepted; /* a container, and it could be spliced */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_accepted = fuzz_splice(&ks_codec_xz, data, size);
	return 0;
}
