package config

// WebSocketType is the type of APIs whose clients stay connected.
const WebSocketType = "websocket"

// The routes of a WebSocket API that no message selects by name. AWS: "Create routes for
// WebSocket APIs in API Gateway".
const (
	ConnectRoute    = "$connect"
	DisconnectRoute = "$disconnect"
)

// Socket bounds the connections of a WebSocket API. AWS: "Quotas for configuring and
// running a WebSocket API in API Gateway".
type Socket struct {
	// Bytes of a message, either way. A longer one of the client's ends its connection with
	// 1009; a longer answer is an error.
	Message Size `toml:"message" default:"128KiB" min:"1B" max:"16MiB" aka:"max_message_size,message_size"`
	// Bytes of one frame of the client's. A longer one ends the connection with 1009.
	Frame Size `toml:"frame" default:"32KiB" min:"1B" max:"16MiB" aka:"max_frame_size,frame_size"`
	// Time without anything going by, either way, that ends a connection with 1001.
	Idle Duration `toml:"idle" default:"10m" min:"1s" max:"24h" aka:"idle_timeout"`
	// Age at which a connection ends with 1001.
	Life Duration `toml:"life" default:"2h" min:"1s" max:"720h" aka:"max_age,connection_age"`
	// Messages of one connection that wait for those before them. With more, the client is
	// kept waiting.
	Queue int `toml:"queue" default:"16" min:"1" max:"1000"`
	// Bytes that a client may leave unread. Further answers to its messages wait for it, and
	// whoever posts to the connection gets 429.
	SendBuffer Size `toml:"send_buffer" default:"256KiB" min:"1KiB" max:"64MiB"`
}

// Connections say who may use connections from elsewhere: POST, GET and DELETE of
// /@connections/ID at the stage's URL.
type Connections struct {
	// Who must agree: an authorizer of type iam, whose callers need the permission
	// execute-api:ManageConnections, or a function that says so. Absent: nobody may; the
	// admin listener still can.
	Authorizer string `toml:"authorizer" required:"true" ref:"authorizer" example:"signed"`
}
