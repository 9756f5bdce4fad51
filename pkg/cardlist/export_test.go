package cardlist

// Queries whose plan is a promise, and their parameters.
const (
	InUseQuery      = inUse
	RegisteredQuery = registered
)

var (
	InUseParameters      = asked
	RegisteredParameters = compared
)
