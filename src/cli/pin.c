/* SPDX-License-Identifier: MIT */
#include "cli/pin.h"

#include <stdlib.h>
#include <string.h>

#define VARIABLE "KBUILD_SIGN_PIN"

static char *pin;

void pin_take(void)
{
	char *value = getenv(VARIABLE);

	if (!value)
		return;
	pin = strdup(value);
	explicit_bzero(value, strlen(value));
	unsetenv(VARIABLE);
}

const char *pin_get(void)
{
	return pin;
}

void pin_wipe(void)
{
	if (pin)
		explicit_bzero(pin, strlen(pin));
	free(pin);
	pin = NULL;
}
