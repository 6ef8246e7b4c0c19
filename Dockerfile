# The image of cni-conf/kube-nwplcy.yaml: docker build -t localhost/kube-nwplcy:0.1.0 .

# Node and npm start the build; the Node that is packed comes from the lockfile.
FROM node:26-bookworm-slim AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends binutils make \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make build

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="kube-nwplcy" \
  org.opencontainers.image.description="Kubernetes NetworkPolicy for clusters whose CNI has none" \
  org.opencontainers.image.licenses="Apache-2.0"
# All backends; modprobe for br_netfilter.
RUN apt-get update \
  && apt-get install -y --no-install-recommends conntrack ipset iproute2 iptables kmod nftables \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/dist/kube-nwplcy /usr/local/bin/kube-nwplcy
# iptables, ipset and the directories of the node are for root; the DaemonSet takes away every capability that is not needed.
USER root
ENTRYPOINT ["kube-nwplcy"]
CMD ["--help"]
