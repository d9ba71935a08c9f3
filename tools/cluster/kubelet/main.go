// A kubelet that can report more processors and memory than this machine has, so that a laptop can play a GPU node.
// Its other behaviour is that of Kubernetes.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet/cadvisor"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/configfiles"
	utilfs "k8s.io/kubernetes/pkg/util/filesystem"
)

// sizedMachine reports NODE_CPUS processors and NODE_MEMORY_GB of memory. The kernel accepts limits above what exists.
type sizedMachine struct{ cadvisor.Interface }

func (s sizedMachine) MachineInfo() (*cadvisorapi.MachineInfo, error) {
	info, err := s.Interface.MachineInfo()
	if err != nil {
		return nil, err
	}
	info = info.Clone()
	if cores, err := strconv.Atoi(os.Getenv("NODE_CPUS")); err == nil {
		info.NumCores = cores
	}
	if gb, err := strconv.Atoi(os.Getenv("NODE_MEMORY_GB")); err == nil {
		info.MemoryCapacity = uint64(gb) << 30
	}
	return info, nil
}

// main does what NewKubeletCommand of k8s.io/kubernetes/cmd/kubelet/app does, with another source of the machine's size.
func main() {
	ctx := context.Background()
	flags := options.NewKubeletFlags()
	set := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	set.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	flags.AddFlags(set)
	options.AddGlobalFlags(set)
	check(set.Parse(os.Args[1:]))
	loader, err := configfiles.NewFsLoader(&utilfs.DefaultFs{}, flags.KubeletConfigFile)
	check(err)
	config, err := loader.Load(ctx)
	check(err)
	check(utilfeature.DefaultMutableFeatureGate.SetFromMap(config.FeatureGates))
	logs.InitLogs()
	server := &options.KubeletServer{KubeletFlags: *flags, KubeletConfiguration: *config}
	dependencies, err := app.UnsecuredDependencies(ctx, server, utilfeature.DefaultFeatureGate)
	check(err)
	endpoint := config.ContainerRuntimeEndpoint
	roots := []string{cm.NodeAllocatableRoot(config.CgroupRoot, config.CgroupsPerQOS, config.CgroupDriver)}
	machine, err := cadvisor.New(cadvisor.NewImageFsInfoProvider(endpoint), flags.RootDirectory, roots,
		cadvisor.UsingLegacyCadvisorStats(endpoint), config.LocalStorageCapacityIsolation)
	check(err)
	dependencies.CAdvisorInterface = sizedMachine{machine}
	check(app.Run(ctx, server, dependencies, utilfeature.DefaultFeatureGate))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
