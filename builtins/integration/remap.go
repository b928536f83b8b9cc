package integration

import "github.com/postern-gateway/postern/proxy/http1"

// remapped has the field that stands for one which a reply can't have under its
// own name; the value is kept. AWS: "Amazon API Gateway important notes", as recorded.
var remapped = [http1.KnownCount]http1.Field{
	http1.Connection:    http1.NewField("x-amzn-Remapped-Connection", ""),
	http1.ContentLength: http1.NewField("x-amzn-Remapped-Content-Length", ""),
	http1.Date:          http1.NewField("x-amzn-Remapped-Date", ""),
	http1.Server:        http1.NewField("x-amzn-Remapped-Server", ""),

	// Of mapped headers only.
	http1.Authorization:     http1.NewField("x-amzn-Remapped-Authorization", ""),
	http1.ContentMD5:        http1.NewField("x-amzn-Remapped-Content-MD5", ""),
	http1.Expect:            http1.NewField("x-amzn-Remapped-Expect", ""),
	http1.Host:              http1.NewField("x-amzn-Remapped-Host", ""),
	http1.MaxForwards:       http1.NewField("x-amzn-Remapped-Max-Forwards", ""),
	http1.ProxyAuthenticate: http1.NewField("x-amzn-Remapped-Proxy-Authenticate", ""),
	http1.Trailer:           http1.NewField("x-amzn-Remapped-Trailer", ""),
	http1.Upgrade:           http1.NewField("x-amzn-Remapped-Upgrade", ""),
	http1.UserAgent:         http1.NewField("x-amzn-Remapped-User-Agent", ""),
	http1.WWWAuthenticate:   http1.NewField("x-amzn-Remapped-WWW-Authenticate", ""),
}

// proxied are the names for which remapped holds in answers that are passed
// through, and not in mapped headers only.
const proxied = http1.Set(1<<http1.Connection | 1<<http1.ContentLength | 1<<http1.Date | 1<<http1.Server)
