# A kind node with Kubernetes in it, for machines that cannot pull kindest/node.
# scripts/containers/node_image.py makes the context: rootfs.tar is Debian, root/ holds the files that go on top of it
# (kind's own, the binaries), images.tar the control plane's images.

FROM scratch AS base
ADD rootfs.tar /
COPY root/ /
# The units of a machine that a node is not; then what kind itself enables. Of kind's settings two need
# CAP_SYS_RESOURCE, which some machines cannot grant: a lowered OOM score for containerd and for pods.
RUN find /lib/systemd/system/sysinit.target.wants -name systemd-tmpfiles-setup.service -delete \
    && rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
             /lib/systemd/system/local-fs.target.wants/* \
             /lib/systemd/system/sockets.target.wants/*udev* /lib/systemd/system/sockets.target.wants/*initctl* \
             /lib/systemd/system/basic.target.wants/* \
    && echo "ReadKMsg=no" >> /etc/systemd/journald.conf \
    && ln -s /usr/lib/systemd/systemd /sbin/init \
    && systemctl enable kubelet.service containerd.service undo-mount-hacks.service \
    && systemctl mask systemd-binfmt.service \
    && sed -i '/^OOMScoreAdjust=/d' /etc/systemd/system/containerd.service \
    && sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml \
    && mkdir -p /etc/kubernetes/manifests \
    && ctr oci spec \
       | jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
       > /etc/containerd/cri-base.json

FROM base AS images
COPY images.tar /
# The content store alone is wanted: nodes unpack an image when they first run it.
RUN containerd --log-level=error & daemon=$! \
    && timeout 60 sh -c 'until ctr version >/dev/null 2>&1; do sleep 0.2; done' \
    && ctr --namespace=k8s.io images import --local --all-platforms --no-unpack \
           --label=io.cri-containerd.pinned=pinned /images.tar \
    && kill $daemon && wait

FROM base
COPY --from=images /var/lib/containerd /var/lib/containerd
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
