"""The chart on a real API server: Kubernetes' own, with its etcd, on loopback. There is no kubelet: no pod runs."""
