# The image: one static binary on nothing else. It is built where a Docker or BuildKit daemon is:
#
#   docker build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) --build-arg REVISION=$(git rev-parse HEAD) -t REGISTRY/foresail:0.1.0 .
#
# For another architecture: docker buildx build --platform linux/amd64,linux/arm64 … (each is compiled on itself or emulated).
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# glibc 2.36 resolves names in a static binary without any file beside it; `cargo xtask static` checks the same build.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=foresail" CARGO_INCREMENTAL=0
ARG SOURCE_DATE_EPOCH=0
# The target is named so that build scripts and macros, which must be dynamic, are not built with these flags.
RUN set -eu; \
    target="$(rustc -vV | sed -n 's/^host: //p')"; \
    cargo build --profile dist --locked -p foresail --target "$target"; \
    install -D "target/$target/dist/foresail" /image/foresail; \
    install -d -m 0750 -o 65532 -g 65532 /image/var/lib/foresail; \
    install -D -m 0644 /etc/ssl/certs/ca-certificates.crt -t /image/etc/ssl/certs; \
    install -D -m 0644 LICENSE-APACHE LICENSE-MIT NOTICE.md -t /image/licenses; \
    find /image -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title="foresail" \
      org.opencontainers.image.description="An autoscaler that forecasts demand, acts ahead of time, and can always say why" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build --chown=65532:65532 /image /
# The C library keeps eight pools of memory a core, each of which holds on to its most: two serve two busy threads.
ENV MALLOC_ARENA_MAX=2
# A number, so that runAsNonRoot can be checked.
USER 65532:65532
ENTRYPOINT ["/foresail"]
