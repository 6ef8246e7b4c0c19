/* Makes TCP connections as fast as one thread can.
 *   connect serve PORT                  accepts and closes, until nobody has called for a second
 *   connect call ADDRESS PORT SECONDS   prints how many connections it made a second, how many failed, and the
 *                                       processor time of each in microseconds, of this end and the kernel's for it
 * Both ends close by a reset, so that no port waits for the end of TIME_WAIT. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec + at.tv_nsec / 1e9;
}

static void reset(int fd) {
  struct linger none = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(fd);
}

static void wait_for(int fd, double seconds) {
  struct timeval time = {(time_t)seconds, (long)(seconds * 1e6) % 1000000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
}

static int serve(struct sockaddr_in own) {
  int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0 || listen(fd, 4096) != 0) {
    perror("connect: cannot listen");
    return 1;
  }
  wait_for(fd, 10);
  for (int peer; (peer = accept(fd, NULL, NULL)) >= 0; reset(peer)) wait_for(fd, 1);
  return 0;
}

static int call(struct sockaddr_in server, double seconds) {
  long made = 0, failed = 0;
  /* The server may be on its way still. */
  for (int tries = 0, there = 0; !there && tries < 1000; tries++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    there = connect(fd, (struct sockaddr *)&server, sizeof server) == 0;
    reset(fd);
    if (!there) usleep(5000);
  }
  double started = now(), ended = started;
  /* Each from a port of its own: conntrack need not take another one from the same port for new. */
  struct sockaddr_in own = {.sin_family = AF_INET};
  for (int port = 1024; ended < started + seconds; ended = now()) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    do {
      if (++port > 65535) {
        fputs("connect: there are no more ports, call for less seconds\n", stderr);
        return 1;
      }
      own.sin_port = htons(port);
    } while (bind(fd, (struct sockaddr *)&own, sizeof own) != 0);
    /* The server's reset may be here before we know that we are connected. */
    if (connect(fd, (struct sockaddr *)&server, sizeof server) == 0 || errno == ECONNRESET) made++;
    else failed++;
    reset(fd);
  }
  struct rusage cost;
  getrusage(RUSAGE_SELF, &cost);
  double cpu = cost.ru_utime.tv_sec + cost.ru_stime.tv_sec + (cost.ru_utime.tv_usec + cost.ru_stime.tv_usec) / 1e6;
  printf("%.1f %ld %.3f\n", made / (ended - started), failed, cpu * 1e6 / made);
  return 0;
}

int main(int argc, char **argv) {
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  if (argc == 3 && strcmp(argv[1], "serve") == 0) {
    address.sin_port = htons(atoi(argv[2]));
    return serve(address);
  }
  if (argc == 5 && strcmp(argv[1], "call") == 0 && inet_pton(AF_INET, argv[2], &address.sin_addr) == 1) {
    address.sin_port = htons(atoi(argv[3]));
    return call(address, atof(argv[4]));
  }
  fputs("connect: serve PORT, or call ADDRESS PORT SECONDS\n", stderr);
  return 2;
}
