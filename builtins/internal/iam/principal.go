package iam

import "strings"

// principals are who a statement of a resource policy is about.
type principals struct {
	not      bool // NotPrincipal
	anybody  bool
	accounts []string
	arns     []string
	sessions []string // "arn:aws:sts::ACCOUNT:assumed-role/ROLE/": sessions of a role
}

func (p *principals) fit(r *Request) bool { return p.name(r) != p.not }

func (p *principals) name(r *Request) bool {
	if p.anybody {
		return true
	}
	if r.CallerARN == "" && r.CallerAccount == "" {
		return false
	}
	for _, account := range p.accounts {
		if account == r.CallerAccount {
			return true
		}
	}
	for _, arn := range p.arns {
		if arn == r.CallerARN {
			return true
		}
	}
	for _, session := range p.sessions {
		if strings.HasPrefix(r.CallerARN, session) {
			return true
		}
	}
	return false
}

// add takes one principal of AWS: an account, or the ARN of a user, a role or a
// session. AWS: "AWS JSON policy elements: Principal".
func (p *principals) add(text string) (problem, hint string) {
	if text == "*" {
		p.anybody = true
		return "", ""
	}
	if isAccount(text) {
		p.accounts = append(p.accounts, text)
		return "", ""
	}
	const example = `write "*", an account's twelve digits, or arn:aws:iam::ACCOUNT:user/NAME`
	parts := arnFields(text)
	if len(parts) != arnParts || parts[0] != "arn" || parts[1] != partition || parts[2] != "iam" && parts[2] != "sts" || parts[3] != "" || !isAccount(parts[4]) {
		return "not a principal", example
	}
	if strings.ContainsAny(text, "*?") {
		return "a principal can't have wildcards", `write "*" and a Condition with ArnLike and aws:PrincipalArn`
	}
	account, name := parts[4], parts[5]
	switch kind, rest, _ := strings.Cut(name, "/"); {
	case name == "root":
		p.accounts = append(p.accounts, account)
	case rest == "":
		return "not a principal", example
	case kind == "role" && parts[2] == "iam":
		role := rest[strings.LastIndexByte(rest, '/')+1:]
		p.sessions = append(p.sessions, "arn:"+partition+":sts::"+account+":assumed-role/"+role+"/")
		p.arns = append(p.arns, text)
	default:
		p.arns = append(p.arns, text)
	}
	return "", ""
}

func isAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
