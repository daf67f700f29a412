/* SPDX-License-Identifier: MIT */
/*
 * usage FILE COMMAND [ARG...]: runs the command and writes into FILE, as JSON, what it and all that
 * it waited for have used: "cpu" and "wall" in seconds, "peak_kb", the most memory that one of these
 * processes has had. Ends with the command's status.
 *
 * A program of its own because it is small: Linux charges a process with the size that its parent
 * had when it was started, and an interpreter is larger than much of what is measured here.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static int report(const char *path, double wall)
{
	struct rusage used;
	FILE *out = fopen(path, "w");

	if (!out)
		return -1;
	getrusage(RUSAGE_CHILDREN, &used);
	fprintf(out, "{\"cpu\": %.6f, \"wall\": %.6f, \"peak_kb\": %ld}\n",
		seconds(used.ru_utime) + seconds(used.ru_stime), wall, used.ru_maxrss);
	return fclose(out);
}

int main(int argc, char **argv)
{
	double begin = now();
	int status;
	pid_t child;

	if (argc < 3) {
		fputs("Usage: usage FILE COMMAND [ARG...]\n", stderr);
		return 2;
	}
	if (posix_spawnp(&child, argv[2], NULL, NULL, argv + 2, environ) ||
	    waitpid(child, &status, 0) < 0) {
		perror(argv[2]);
		return 127;
	}
	if (report(argv[1], now() - begin)) {
		perror(argv[1]);
		return 127;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
