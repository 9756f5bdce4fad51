package spoiled

import "flag"

// AreSeeds reports whether a fuzz target has to add its seeds. The workers that
// try the inputs get them from the process that started them; making the files
// again in each would take longer than a worker lives when it finds much.
func AreSeeds() bool {
	worker := flag.Lookup("test.fuzzworker")
	return worker == nil || worker.Value.String() != "true"
}
