/* SPDX-License-Identifier: MIT */
/*
 * A PKCS#11 module in front of another one, $SHIM_MODULE: writes a line for each login and each
 * signature into $SHIM_LOG, and after $SHIM_PULL signatures behaves as if the token were gone.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long rv;

/* Places in the list of functions, PKCS#11 2.40; the same in all of 2.x. */
enum { GET_LIST = 3, OPEN_SESSION = 12, LOGIN = 18, SIGN_INIT = 42, SIGN = 43, FUNCTIONS = 68 };
enum { OK = 0, GENERAL_ERROR = 5, DEVICE_REMOVED = 0x32 };

struct list {
	unsigned char version[2];
	void (*function[FUNCTIONS])(void);
};

static struct list *real, list;
static atomic_long signatures;

static void say(const char *line)
{
	const char *path = getenv("SHIM_LOG");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd >= 0 && write(fd, line, strlen(line)) < 0)
		abort();
	close(fd);
}

static int is_gone(void)
{
	const char *pull = getenv("SHIM_PULL");

	return pull && signatures >= atol(pull);
}

static rv open_session(unsigned long slot, unsigned long flags, void *app, void *notify,
		       unsigned long *session)
{
	rv (*call)(unsigned long, unsigned long, void *, void *, unsigned long *) =
		(void *)real->function[OPEN_SESSION];

	return is_gone() ? DEVICE_REMOVED : call(slot, flags, app, notify, session);
}

static rv login(unsigned long session, unsigned long user, unsigned char *pin, unsigned long len)
{
	rv (*call)(unsigned long, unsigned long, unsigned char *, unsigned long) =
		(void *)real->function[LOGIN];

	say("login\n");
	return is_gone() ? DEVICE_REMOVED : call(session, user, pin, len);
}

static rv sign_init(unsigned long session, void *mechanism, unsigned long key)
{
	rv (*call)(unsigned long, void *, unsigned long) = (void *)real->function[SIGN_INIT];

	return is_gone() ? DEVICE_REMOVED : call(session, mechanism, key);
}

static rv sign(unsigned long session, unsigned char *data, unsigned long len, unsigned char *to,
	       unsigned long *size)
{
	rv (*call)(unsigned long, unsigned char *, unsigned long, unsigned char *,
		   unsigned long *) = (void *)real->function[SIGN];

	if (is_gone())
		return DEVICE_REMOVED;
	if (to) {
		signatures++;
		say("sign\n");
	}
	return call(session, data, len, to, size);
}

rv C_GetFunctionList(struct list **found);
rv C_GetFunctionList(struct list **found)
{
	void *module = dlopen(getenv("SHIM_MODULE"), RTLD_NOW | RTLD_LOCAL);
	rv (*get)(struct list **) = NULL;

	if (module)
		*(void **)&get = dlsym(module, "C_GetFunctionList");
	if (!get || get(&real) != OK)
		return GENERAL_ERROR;
	list = *real;
	list.function[GET_LIST] = (void (*)(void))C_GetFunctionList;
	list.function[OPEN_SESSION] = (void (*)(void))open_session;
	list.function[LOGIN] = (void (*)(void))login;
	list.function[SIGN_INIT] = (void (*)(void))sign_init;
	list.function[SIGN] = (void (*)(void))sign;
	*found = &list;
	return OK;
}
