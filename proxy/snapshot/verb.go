package snapshot

// verb numbers the seven verbs that a method can have. AWS: PutMethod,
// "httpMethod"; ANY stands for all of them.
type verb uint8

const (
	verbDelete verb = iota
	verbGet
	verbHead
	verbOptions
	verbPatch
	verbPost
	verbPut

	verbCount
	noVerb = verbCount
)

// anyVerb is how a route key spells all seven.
const anyVerb = "ANY"

// verbOf returns the number of method, or noVerb. Methods are case-sensitive:
// RFC 9110, 9.1.
func verbOf(method string) verb {
	switch method {
	case "GET":
		return verbGet
	case "POST":
		return verbPost
	case "PUT":
		return verbPut
	case "DELETE":
		return verbDelete
	case "PATCH":
		return verbPatch
	case "HEAD":
		return verbHead
	case "OPTIONS":
		return verbOptions
	}
	return noVerb
}

// String returns the verb as requests spell it.
func (v verb) String() string {
	switch v {
	case verbDelete:
		return "DELETE"
	case verbGet:
		return "GET"
	case verbHead:
		return "HEAD"
	case verbOptions:
		return "OPTIONS"
	case verbPatch:
		return "PATCH"
	case verbPost:
		return "POST"
	case verbPut:
		return "PUT"
	}
	return ""
}
