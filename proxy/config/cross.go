package config

// cross checks what no single value shows: references, routes, addresses.
func (c *checker) cross(cfg *Config, tree map[string]any) {
	for name, api := range cfg.API {
		if api.ID == "" {
			api.ID = name
			cfg.API[name] = api
		}
	}
}
