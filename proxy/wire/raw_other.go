//go:build !linux

package wire

import "syscall"

type transfer struct {
	buf []byte
	n   int
	err error
}

func (c *Conn) recv(uintptr) bool { return true }
func (c *Conn) send(uintptr) bool { return true }

func (c *Conn) readRaw(p []byte) (int, error)     { return c.net.Read(p) }
func (c *Conn) writeRaw(p, _ []byte) (int, error) { return c.net.Write(p) }

func shutdown(syscall.RawConn) {}

func (c *Conn) ask(uintptr) bool                 { return true }
func (c *Conn) askRaw(_, _ []byte) (bool, error) { return false, nil }

// rawSockets says that sockets are read and written through package net here.
const rawSockets = false
