/*
 * The floor of what a relay costs: a client's request goes to the next of N addresses (`turn`), or to one at random
 * (`random`), as it is, over one kept connection to each, and its answer back. No parsing, no timers, no state beyond a line per socket: what grows here with N is the
 * kernel's. Each message must come in one read. Usage: plain-relay PORT BACKEND-PORT N turn|random
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES 65536
#define EVENTS 256
#define LISTENER (-2)

/* By descriptor: the other side; -1: nobody, LISTENER. And whether it leads to a backend. */
static int peer[FILES];
static char is_backend[FILES];
static char room[1 << 16];
static int at_random;

static int with_port(int fd, in_addr_t address, int port, int server)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address) };
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (server)
		return bind(fd, (void *)&to, sizeof(to)) || listen(fd, 4096);
	return connect(fd, (void *)&to, sizeof(to));
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Loopback from 127.0.1.0 on, as the bench counts its backends. */
static int connected(int epoll, int index, int port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || fd >= FILES || with_port(fd, 0x7f000100 + index, port, 0)) {
		perror("backend");
		exit(1);
	}
	peer[fd] = -1;
	is_backend[fd] = 1;
	watch(epoll, fd);
	return fd;
}

/* xorshift (Marsaglia, 2003) */
static int drawn(int count)
{
	static unsigned state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % count;
}

/* The next backend's connection that nobody waits at; a busy one means one more. */
static int next_backend(int epoll, int *backends, int count, int port)
{
	static int at;
	int index = at_random ? drawn(count) : at;

	at = at + 1 < count ? at + 1 : 0;
	for (int i = index; i < FILES; i += count) {
		if (backends[i] == 0)
			backends[i] = connected(epoll, index, port);
		if (peer[backends[i]] == -1)
			return backends[i];
	}
	exit(1);
}

int main(int argc, char **argv)
{
	static int backends[FILES];
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(0);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (argc < 5 || with_port(listener, INADDR_LOOPBACK, atoi(argv[1]), 1))
		return 1;
	at_random = strcmp(argv[4], "random") == 0;
	peer[listener] = LISTENER;
	watch(epoll, listener);
	for (;;) {
		int ready = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;
			ssize_t size;
			int to;

			if (peer[fd] == LISTENER) {
				int client = accept(listener, NULL, NULL);

				peer[client] = -1;
				is_backend[client] = 0;
				watch(epoll, client);
				continue;
			}
			size = recv(fd, room, sizeof(room), MSG_DONTWAIT);
			if (size <= 0) {
				if (size == 0 || errno != EAGAIN)
					close(fd);
				continue;
			}
			to = is_backend[fd] ? peer[fd] : next_backend(epoll, backends, atoi(argv[3]), atoi(argv[2]));
			peer[is_backend[fd] ? fd : to] = is_backend[fd] ? -1 : fd;
			if (to >= 0)
				send(to, room, size, MSG_NOSIGNAL);
		}
	}
}
