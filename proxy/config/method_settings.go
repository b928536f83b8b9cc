package config

// EveryMethod is the key of MethodSettings for the methods that say nothing else. AWS
// writes it "*/*".
const EveryMethod = "*"

// Settings returns what the stage says of the method with a route key: each setting
// is the method's own, else what EveryMethod has. What is nil in it is left to the stage.
// AWS: "Stage settings for REST APIs": a method's override replaces the stage's value.
func (s *Stage) Settings(route string) MethodSettings {
	return s.Method[route].over(s.Method[EveryMethod])
}

// over returns m, with what it doesn't say taken from below.
func (m MethodSettings) over(below MethodSettings) MethodSettings {
	if m.Throttle == nil {
		m.Throttle = below.Throttle
	}
	m.Cache = m.Cache.over(below.Cache)
	if m.LogLevel == "" {
		m.LogLevel = below.LogLevel
	}
	if m.DataTrace == nil {
		m.DataTrace = below.DataTrace
	}
	if m.Metrics == nil {
		m.Metrics = below.Metrics
	}
	return m
}
