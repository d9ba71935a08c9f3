package shared

import (
	"fmt"
	"os"
)

// DiskHome returns the home if it is a volume of the run, which the driver sets (packages/kubernetes/runs/run-env.ts).
// Otherwise it returns "": the home is the image's, or one of the user's choice.
func DiskHome() string {
	home := os.Getenv("HOME")
	for n := 1; ; n++ {
		volume, isSet := os.LookupEnv(fmt.Sprintf("BERTH_VOLUME_%d", n))
		if !isSet {
			return ""
		}
		if volume == home {
			return home
		}
	}
}
