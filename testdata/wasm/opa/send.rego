# A policy that wants more than a policy gets here.
package send

allow if http.send({"method": "GET", "url": "http://127.0.0.1/"}).status_code == 200

allow if net.lookup_ip_addr("example.com")
