/*
 * udp.c: a plain UDP client with ordinary sockets, as netperf's UDP_RR and UDP_STREAM: what check:baseline holds the
 * native image's net workloads against. `udp PORT`; lines `rr MS` and `stream MS` run a sample against the peer.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "net/peer.h"

static unsigned long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (unsigned long long)t.tv_sec * 1000000000 + (unsigned long long)t.tv_nsec;
}

static int open_client(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval timeout = {.tv_sec = 1};
  int s = socket(AF_INET, SOCK_DGRAM, 0);
  if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to) || setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout)) {
    perror("udp");
    exit(1);
  }
  return s;
}

static unsigned long long round_trips(int s, unsigned long long end) {
  unsigned long long done = 0;
  unsigned char byte = 0, answer;
  do {
    byte++;
    if (send(s, &byte, 1, 0) == 1 && recv(s, &answer, 1, 0) == 1 && answer == byte) done++;
  } while (now() < end);
  return done;
}

static void stream(int s, struct peer_data *data, unsigned long long end) {
  do {
    for (int i = 0; i < 32; i++, data->sequence++) {
      data->mark = peer_mark(data->stream, data->sequence);
      send(s, data, sizeof *data, 0);
    }
  } while (now() < end);
}

static unsigned long long received_bytes(int s, unsigned long long id) {
  struct peer_query query = {PEER_QUERY, id};
  struct peer_count count;
  for (int i = 0; i < 20; i++) {
    send(s, &query, sizeof query, 0);
    if (recv(s, &count, sizeof count, 0) == sizeof count && count.stream == id) return count.bytes;
  }
  return 0;
}

int main(int argc, char **argv) {
  char what[16];
  unsigned ms;
  static struct peer_data data = {.magic = PEER_DATA};
  int s = open_client(argc > 1 ? atoi(argv[1]) : 0);
  while (scanf("%15s %u", what, &ms) == 2) {
    unsigned long long start = now(), end = start + ms * 1000000ull, ops = 0, ns;
    int streaming = strcmp(what, "stream") == 0;
    data.stream = start;
    data.sequence = 0;
    if (streaming) stream(s, &data, end);
    else ops = round_trips(s, end);
    ns = now() - start;
    if (streaming) ops = received_bytes(s, data.stream);
    printf("ops=%llu ns=%llu\n", ops, ns);
    fflush(stdout);
  }
  return 0;
}
