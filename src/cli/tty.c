/* SPDX-License-Identifier: MIT */
#include "cli/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/place.h"
#include "base/strings.h"
#include "base/text.h"

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

enum { DEADLY = sizeof(deadly) / sizeof(*deadly) };

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
}

struct signals {
	struct sigaction before[DEADLY];
	sigset_t mask;
};

/* They come in only while nothing is done but waiting. */
static void hold_signals(struct signals *s)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t set;

	caught = 0;
	sigemptyset(&action.sa_mask);
	sigemptyset(&set);
	for (size_t i = 0; i < DEADLY; i++)
		sigaddset(&set, deadly[i]);
	pthread_sigmask(SIG_BLOCK, &set, &s->mask);
	for (size_t i = 0; i < DEADLY; i++) {
		sigaction(deadly[i], NULL, &s->before[i]);
		if (s->before[i].sa_handler != SIG_IGN)
			sigaction(deadly[i], &action, NULL);
	}
}

static void release_signals(const struct signals *s)
{
	for (size_t i = 0; i < DEADLY; i++)
		sigaction(deadly[i], &s->before[i], NULL);
	pthread_sigmask(SIG_SETMASK, &s->mask, NULL);
	if (caught)
		raise(caught);
}

static bool read_some(int fd, const sigset_t *mask, size_t limit, struct ks_buf *answer,
		      struct ks_error *err)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	ssize_t got;

	if (answer->len == limit)
		return ks_fail(err, KS_ERR_INPUT, "the terminal: the line is too long");
	if (ppoll(&wait, 1, NULL, mask) < 0)
		return ks_fail_errno(err, "the terminal");
	got = read(fd, answer->data + answer->len, limit - answer->len);
	if (got < 0)
		return ks_fail_errno(err, "the terminal");
	answer->len += (size_t)got;
	return got || ks_fail(err, KS_ERR_KEY, "no passphrase was typed");
}

static bool read_line(int fd, const sigset_t *mask, size_t limit, struct ks_buf *answer,
		      struct ks_error *err)
{
	while (!memchr(answer->data, '\n', answer->len))
		if (!read_some(fd, mask, limit, answer, err))
			return false;
	return true;
}

static bool ask_quietly(int fd, const struct termios *normal, const char *question, size_t limit,
			struct ks_buf *answer, struct ks_error *err)
{
	struct termios quiet = *normal;
	struct signals signals;
	bool ok;

	quiet.c_lflag &= ~(tcflag_t)ECHO;
	quiet.c_lflag |= ICANON | ISIG;
	hold_signals(&signals);
	ok = tcsetattr(fd, TCSAFLUSH, &quiet) == 0 || ks_fail_errno(err, "the terminal");
	if (ok) {
		dprintf(fd, "%s", question);
		ok = read_line(fd, &signals.mask, limit, answer, err);
		tcsetattr(fd, TCSAFLUSH, normal);
		dprintf(fd, "\n");
	}
	release_signals(&signals);
	return ok;
}

bool tty_ask(const char *question, size_t limit, struct ks_buf *answer, struct ks_error *err)
{
	KS_STRING shown = ks_text_escape(question);
	struct termios normal;
	KS_FD fd = -1;

	if (!shown || !ks_buf_reserve(answer, limit, err))
		return ks_fail_memory(err);
	fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || tcgetattr(fd, &normal))
		return ks_fail(err, KS_ERR_MISSING, "there is no terminal");
	/* Who has stopped the process and goes on is asked anew. */
	while (!ask_quietly(fd, &normal, shown, limit, answer, err)) {
		explicit_bzero(answer->data, answer->len);
		answer->len = 0;
		if (caught != SIGTSTP)
			return false;
	}
	return true;
}
