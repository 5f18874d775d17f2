/*
 * Loads servers in turn, some 80 ms each, over connections that are kept from turn to turn, and prints what each turn cost:
 *   TARGET REQUESTS CPU-NS
 * What the machine does beside changes over seconds; turns that short meet all servers alike.
 * Usage: turns TURN-MS ROUNDS WARM-MS CONNECTIONS REQUEST-FILE PORT:PID[,PID...] ...
 * A first round with turns of WARM-MS is not printed. Answers are 200 with a Content-Length. Exit 1 and a sentence at the
 * first that is not.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD 4096
#define EVENTS 256
#define STUCK_MS 20000
/* What a server still does when the last answer is here belongs to its turn. */
#define AFTER_US 1500

struct connection {
	int fd;
	size_t sent;
	/* Of the answer: octets that came, and that it has; 0: its head is not whole. */
	size_t got, whole;
	char head[HEAD + 1];
};

struct target {
	int epoll;
	char *pids;
	struct connection *connections;
};

static char *request;
static size_t request_length;
static int connections;
static char room[1 << 20];

static void fail(const char *what)
{
	fprintf(stderr, "turns: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* CPU of all threads of these processes, ns; of one that is gone nothing. */
static double cpu_ns(const char *pids)
{
	double sum = 0;

	for (const char *at = pids; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		struct timespec t;
		clockid_t clock;

		if (clock_getcpuclockid(atoi(at), &clock) == 0 && clock_gettime(clock, &t) == 0)
			sum += t.tv_sec * 1e9 + t.tv_nsec;
	}
	return sum;
}

static void watch(struct target *t, struct connection *c, int op, unsigned events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	if (epoll_ctl(t->epoll, op, c->fd, &event))
		fail("epoll");
}

static void open_target(struct target *t, char *argument)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	to.sin_port = htons(atoi(argument));
	t->pids = strchr(argument, ':') + 1;
	t->epoll = epoll_create1(0);
	t->connections = calloc(connections, sizeof(*t->connections));
	for (struct connection *c = t->connections; c < t->connections + connections; c++) {
		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(c->fd, (void *)&to, sizeof(to)))
			fail("connect");
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
		watch(t, c, EPOLL_CTL_ADD, EPOLLIN);
	}
}

static void ask(struct target *t, struct connection *c)
{
	while (c->sent < request_length) {
		ssize_t n = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(t, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0)
			fail("send");
		c->sent += n;
	}
	watch(t, c, EPOLL_CTL_MOD, EPOLLIN);
}

static void begin(struct target *t, struct connection *c)
{
	c->sent = c->got = c->whole = 0;
	ask(t, c);
}

/* Learns the answer's length once its head is whole. */
static void read_head(struct connection *c, size_t n)
{
	size_t part = n < HEAD - c->got ? n : HEAD - c->got;
	char *end, *length;

	memcpy(c->head + c->got, room, part);
	c->head[c->got + part] = 0;
	end = strstr(c->head, "\r\n\r\n");
	if (!end && c->got + part < HEAD)
		return;
	length = strcasestr(c->head, "\ncontent-length:");
	if (!end || !length || memcmp(c->head + 9, "200", 3)) {
		fprintf(stderr, "turns: an answer that is none: %.200s\n", c->head);
		exit(1);
	}
	c->whole = end + 4 - c->head + atol(length + 16);
}

/* Reads what is there. Is the answer whole? */
static int answered(struct connection *c)
{
	ssize_t n = recv(c->fd, room, sizeof(room), 0);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		fail("a connection was closed");
	if (c->whole == 0)
		read_head(c, n);
	c->got += n;
	return c->whole > 0 && c->got >= c->whole;
}

/* Every connection asks again as soon as it is answered, until the turn is over. @returns how many were answered. */
static long take_turn(struct target *t, double ms)
{
	double end = now_ms() + ms;
	struct epoll_event events[EVENTS];
	int open = connections;
	long done = 0;

	for (int i = 0; i < connections; i++)
		begin(t, &t->connections[i]);
	while (open > 0) {
		int n = epoll_wait(t->epoll, events, EVENTS, STUCK_MS);
		int over = now_ms() > end;

		if (n <= 0)
			fail("nothing comes");
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (events[i].events & EPOLLOUT)
				ask(t, c);
			if (!(events[i].events & ~EPOLLOUT) || !answered(c))
				continue;
			done++;
			if (over)
				open--;
			else
				begin(t, c);
		}
	}
	usleep(AFTER_US);
	return done;
}

static void read_request(const char *path)
{
	FILE *file = fopen(path, "r");

	request = malloc(sizeof(room));
	if (!file)
		fail(path);
	request_length = fread(request, 1, sizeof(room), file);
	fclose(file);
}

int main(int count, char **argument)
{
	int targets = count - 6;
	struct target *all = calloc(targets, sizeof(*all));
	int rounds = atoi(argument[2]);

	connections = atoi(argument[4]);
	read_request(argument[5]);
	for (int round = -1; round < rounds; round++)
		for (int k = 0; k < targets; k++) {
			/* A B C, C B A: nobody is always the first after another. */
			int i = round & 1 ? targets - 1 - k : k;
			double before;
			long done;

			/* Not before: who connects and asks nothing for long is cut. */
			if (round < 0)
				open_target(&all[i], argument[6 + i]);
			before = cpu_ns(all[i].pids);
			done = take_turn(&all[i], atoi(argument[round < 0 ? 3 : 1]));
			if (round >= 0)
				printf("%d %ld %.0f\n", i, done, cpu_ns(all[i].pids) - before);
		}
	return 0;
}
