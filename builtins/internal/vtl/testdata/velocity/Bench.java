import com.jayway.jsonpath.*;
import java.io.*;
import java.lang.management.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.commons.lang.StringEscapeUtils;
import org.apache.velocity.*;
import org.apache.velocity.app.event.*;
import org.apache.velocity.runtime.*;

/**
 * Times Velocity with Jayway's JsonPath on a template and a body: lines of both in base64 come
 * in, the least CPU time of a rendering in nanoseconds and its output in base64 go out.
 */
public class Bench {
  /** What $input is in the benchmarks. */
  public static class Input {
    private final DocumentContext document;
    private final Map<String, Object> params;

    Input(DocumentContext d, Map<String, Object> p) {
      document = d;
      params = p;
    }

    public Object path(String p) { return document.read(p); }

    public String json(String p) {
      Object v = document.read(p);
      return Configuration.defaultConfiguration().jsonProvider().toJson(v);
    }

    public Map<String, Object> params() { return params; }
  }

  /** What $util is in the benchmarks. */
  public static class Util {
    public String escapeJavaScript(String s) { return StringEscapeUtils.escapeJavaScript(s); }
  }

  static Map<String, Object> map(Object... pairs) {
    Map<String, Object> m = new LinkedHashMap<String, Object>();
    for (int i = 0; i < pairs.length; i += 2) {
      m.put((String) pairs[i], pairs[i + 1]);
    }
    return m;
  }

  static String render(Template t, String body) throws Exception {
    VelocityContext c = new VelocityContext();
    c.put("input", new Input(JsonPath.parse(body), map(
        "path", map("id", "o-1", "part", "lines"),
        "querystring", map("page", "2", "filter", "a \"b\" & c"),
        "header", map("Content-Type", "application/json", "X-Note", "it's", "Accept", "*/*", "User-Agent", "curl/8.0"))));
    c.put("util", new Util());
    c.put("stageVariables", map("url", "https://b.example.com/v1", "table", "orders"));
    c.put("context", map("apiId", "a1b2c3", "stage", "prod", "httpMethod", "POST", "requestId", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "resourcePath", "/orders/{id}", "identity", map("sourceIp", "192.0.2.1", "accountId", "123456789012", "apiKey", "")));
    EventCartridge ec = new EventCartridge();
    ec.addEventHandler(new Harness.Empty());
    ec.attachToContext(c);
    StringWriter w = new StringWriter();
    t.merge(c, w);
    return w.toString();
  }

  public static void main(String[] args) throws Exception {
    RuntimeInstance ri = Harness.engine(true);
    ThreadMXBean clock = ManagementFactory.getThreadMXBean();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line; (line = in.readLine()) != null; ) {
      String[] parts = line.split(" ");
      String source = new String(Base64.getDecoder().decode(parts[0]), StandardCharsets.UTF_8);
      String body = new String(Base64.getDecoder().decode(parts[1]), StandardCharsets.UTF_8);
      Template t = new Template();
      t.setRuntimeServices(ri);
      t.setName("bench");
      t.setData(ri.parse(new StringReader(source), "bench"));
      t.initDocument();
      long least = Long.MAX_VALUE;
      String out = "";
      for (int round = 0; round < 40; round++) {
        int n = 500;
        long begin = clock.getCurrentThreadCpuTime();
        for (int i = 0; i < n; i++) {
          out = render(t, body);
        }
        least = Math.min(least, (clock.getCurrentThreadCpuTime() - begin) / n);
      }
      System.out.println(least + " " + Base64.getEncoder().encodeToString(out.getBytes(StandardCharsets.UTF_8)));
    }
  }
}
