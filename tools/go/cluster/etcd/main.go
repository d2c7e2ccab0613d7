// Command etcd is etcd's own server, under its own name: go names what it builds from that module "server".
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
