package main

import (
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/observe"
)

// Every variable that AWS's access logs of REST APIs have is known here.
// AWS: "Variables for access logging for API Gateway".
func TestLogVariables(t *testing.T) {
	const names = `accountId apiId authorizer.claims.sub authorizer.principalId authorizer.anything awsEndpointRequestId deploymentId
		domainName domainPrefix error.message error.messageString error.responseType error.validationErrorString extendedRequestId
		httpMethod identity.accountId identity.apiKey identity.apiKeyId identity.caller identity.cognitoAuthenticationProvider
		identity.cognitoAuthenticationType identity.cognitoIdentityId identity.cognitoIdentityPoolId identity.principalOrgId
		identity.sourceIp identity.clientCert.clientCertPem identity.clientCert.subjectDN identity.clientCert.issuerDN
		identity.clientCert.serialNumber identity.clientCert.validity.notBefore identity.clientCert.validity.notAfter identity.user
		identity.userAgent identity.userArn identity.vpcId identity.vpceId isCanaryRequest path protocol requestId requestTime
		requestTimeEpoch resourceId resourcePath stage wafResponseCode webaclArn
		authorize.error authorize.latency authorize.status authorizer.error authorizer.integrationLatency authorizer.integrationStatus
		authorizer.latency authorizer.requestId authorizer.status authenticate.error authenticate.latency authenticate.status
		customDomain.basePathMatched customDomain.routingRuleIdMatched endpointType integration.error integration.integrationStatus
		integration.latency integration.requestId integration.status integrationErrorMessage integrationLatency integrationStatus
		responseLatency responseLength status waf.error waf.latency waf.status xrayTraceId tlsVersion cipherSuite
		routeKey dataProcessed awsEndpointRequestId2`
	check := func(format string) config.Findings {
		return observe.Check(&config.Config{API: map[string]config.API{"a": {Stage: map[string]config.Stage{"s": {
			Log: &config.StageLog{Access: &config.AccessLog{Format: format}},
		}}}}}, contextVariable)
	}
	for _, name := range strings.Fields(names) {
		if found := check("$context.requestId $context." + name); len(found) > 0 {
			t.Errorf("%s: %s", name, found.Text())
		}
		if name == "authorizer.anything" || strings.HasPrefix(name, "authorizer.claims.") {
			continue
		}
		if len(check("$context.requestId $context."+name+"x")) == 0 && !strings.HasPrefix(name, "authorizer.") {
			t.Errorf("%sx is taken for a variable", name)
		}
	}
}
