# For each container of the node that has ended so often: its name, how long it ran in seconds, its words (the kubelet
# keeps the log of the last try alone). And the kubelet, once it has its configuration: before that it has to end; and
# what it cannot start again and again. A line that begins with "==" is a heading. The unit's journal holds words of
# systemd, too, which are no cause.
times=2 # ends of a container from which it is no accident
# What kubeadm lays out as static pods: without one of them there is no cluster, whatever else comes up.
static='kube-system/(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)-'
not_started='ErrImage|InvalidImageName|CreateContainer|RunContainerError|CreatePodSandbox'
running=$(ctr --namespace k8s.io tasks list 2>/dev/null | grep RUNNING)
for link in /var/log/containers/*.log; do
  log=$(readlink -f "$link"); number=$(basename "$log" .log); id=${link##*-}
  [ "$number" -ge $times ] 2>/dev/null && [ -s "$log" ] || continue
  case "$running" in *"${id%.log}"*) continue ;; esac
  first=$(head -n 1 "$log" | cut -d' ' -f1); last=$(tail -n 1 "$log" | cut -d' ' -f1)
  ran=$(( $(date -d "$last" +%s) - $(date -d "$first" +%s) ))
  pod=$(basename "$(dirname "$(dirname "$log")")" | cut -d_ -f2)
  echo "== container $(basename "$(dirname "$log")") of pod $pod ends again and again: $number times, $ran s"
  head -n 20 "$log" | cut -d' ' -f4-
  tail -n 20 "$log" | cut -d' ' -f4-
done
if [ -f /var/lib/kubelet/config.yaml ]; then
  number=$(systemctl show kubelet --property=NRestarts --value)
  if [ "${number:-0}" -ge 4 ] && ! systemctl is-active --quiet kubelet; then
    echo "== kubelet ends again and again: $number times, 0 s"
    journalctl --identifier=kubelet --output=cat --no-pager --lines=120 | grep -v '^Flag --'
  fi
  failed=$(journalctl --identifier=kubelet --output=cat --no-pager |
    grep '"Error syncing pod' | grep -E "$static" | grep -E "$not_started" | tail -n 12)
  number=$(echo "$failed" | grep -c .)
  if [ "$number" -ge $times ]; then
    echo "== a pod of the control plane is not started: $number times, 0 s"
    echo "$failed" | tail -n 1
  fi
fi
