/* nng_peer.c - libnng's own REQ and REP sockets on the other end of our wire, for the interoperation tests.
 *
 *     nng_peer rep URL            a sidecar's place: acknowledges every batch; "rows N" per batch on stdout
 *     nng_peer req URL FILE [N]   a producer's place: sends FILE's bytes N times, prints each reply's status
 *
 * Ends with 1 and a line on stderr when something is not as it should be. */
#include <wire/batch.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int rv, const char *what)
{
    if (rv == 0)
        return;
    fprintf(stderr, "nng_peer: %s: %s\n", what, nng_strerror(rv));
    exit(1);
}

static int serve(const char *url)
{
    static struct batch_storage storage;
    nng_socket socket;

    check(nng_rep0_open(&socket), "rep0_open");
    check(nng_listen(socket, url, NULL, 0), url);
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        unsigned char out[BATCH_REPLY_MAX_BYTES];
        struct batch_reply reply = {.status = BATCH_COUNTED};
        struct batch batch;
        const char *why = "";
        void *data;
        size_t len;

        check(nng_recv(socket, &data, &len, NNG_FLAG_ALLOC), "recv");
        if (batch_decode(data, len, &storage, &batch, &why) != BATCH_OK) {
            fprintf(stderr, "nng_peer: not a batch: %s\n", why);
            return 1;
        }
        reply.producer = batch.producer;
        reply.ring = batch.ring;
        reply.first = batch.first;
        reply.count = batch.count;
        len = batch_reply_encode(&reply, out, sizeof(out));
        printf("rows %u\n", batch.count);
        fflush(stdout);
        nng_free(data, 0);
        check(nng_send(socket, out, len, 0), "send");
    }
}

static int ask(const char *url, const char *path, int times)
{
    static unsigned char bytes[BATCH_MAX_BYTES];
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
    nng_socket socket;
    int i;

    check(len ? 0 : NNG_ENOENT, path);
    check(nng_req0_open(&socket), "req0_open");
    check(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 10000), "timeout");
    check(nng_dial(socket, url, NULL, 0), url);
    for (i = 0; i < times; i++) {
        struct batch_reply reply;
        void *data;
        size_t reply_len;

        check(nng_send(socket, bytes, len, 0), "send");
        check(nng_recv(socket, &data, &reply_len, NNG_FLAG_ALLOC), "recv");
        if (!batch_reply_decode(data, reply_len, &reply))
            check(NNG_EPROTO, "reply");
        printf("status %u rows %u bad %u\n", reply.status, reply.count, reply.bad);
        nng_free(data, reply_len);
    }
    nng_close(socket);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "rep") == 0)
        return serve(argv[2]);
    if (argc >= 4 && strcmp(argv[1], "req") == 0)
        return ask(argv[2], argv[3], argc > 4 ? atoi(argv[4]) : 1);
    fprintf(stderr, "Usage: nng_peer rep URL | nng_peer req URL FILE [N]\n");
    return 2;
}
