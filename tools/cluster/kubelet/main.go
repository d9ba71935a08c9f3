// A kubelet that can report more processors and memory than this machine has, so that a laptop can play a GPU node.
// Its other behaviour is that of Kubernetes.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	cadvisorapiv2 "github.com/google/cadvisor/info/v2"
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

// ContainerInfoV2 limits the whole machine to what it uses and the MB that the file NODE_AVAILABLE_MEMORY names, so that a
// test can cause memory pressure. Without that file, it says what cAdvisor says.
func (s sizedMachine) ContainerInfoV2(
	name string, options cadvisorapiv2.RequestOptions,
) (map[string]cadvisorapiv2.ContainerInfo, error) {
	found, err := s.Interface.ContainerInfoV2(name, options)
	text, _ := os.ReadFile(os.Getenv("NODE_AVAILABLE_MEMORY"))
	mb, notANumber := strconv.Atoi(strings.TrimSpace(string(text)))
	root, isThere := found["/"]
	if err != nil || notANumber != nil || !isThere || len(root.Stats) == 0 {
		return found, err
	}
	root.Spec.Memory.Limit = root.Stats[len(root.Stats)-1].Memory.WorkingSet + uint64(mb)<<20
	return map[string]cadvisorapiv2.ContainerInfo{"/": root}, nil
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
