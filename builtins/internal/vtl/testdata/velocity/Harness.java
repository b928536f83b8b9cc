import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.velocity.*;
import org.apache.velocity.app.event.*;
import org.apache.velocity.context.Context;
import org.apache.velocity.exception.*;
import org.apache.velocity.runtime.*;
import org.apache.velocity.util.introspection.Info;

/**
 * Renders templates with Velocity itself. A line of the input is a profile, "velocity" or
 * "gateway", and a template in base64; a line of the output "o" and the text in base64, or "e",
 * "p" for an error in rendering and in parsing.
 */
public class Harness {
  /** What AWS makes of a reference that leads to nothing. */
  static class Empty implements InvalidReferenceEventHandler {
    public Object invalidGetMethod(Context c, String r, Object o, String p, Info i) { return ""; }
    public boolean invalidSetMethod(Context c, String l, String r, Info i) { return false; }
    public Object invalidMethod(Context c, String r, Object o, String m, Info i) { return ""; }
  }

  /** Makes parsers that remember no macros of other templates. */
  public static class Fresh implements ParserPool {
    private RuntimeServices services;

    public void initialize(RuntimeServices s) { services = s; }

    public org.apache.velocity.runtime.parser.Parser get() { return services.createNewParser(); }

    public void put(org.apache.velocity.runtime.parser.Parser p) {}
  }

  static RuntimeInstance engine(boolean gateway) throws Exception {
    RuntimeInstance ri = new RuntimeInstance();
    ri.setProperty("runtime.log.logsystem.class", "org.apache.velocity.runtime.log.NullLogChute");
    ri.setProperty("input.encoding", "UTF-8");
    ri.setProperty("parser.pool.class", "Harness$Fresh");
    if (gateway) {
      ri.setProperty("velocimacro.permissions.allow.inline", "false");
      ri.setProperty("directive.foreach.maxloops", "1000");
    }
    ri.init();
    if (gateway) {
      ri.removeDirective("evaluate");
      ri.removeDirective("parse");
      ri.removeDirective("include");
    }
    return ri;
  }

  static VelocityContext variables() {
    VelocityContext c = new VelocityContext();
    c.put("s", "Hello");
    c.put("u", "gr\u00fc\u00df \ud83d\ude00!");
    c.put("n", 5);
    c.put("L", 3000000000L);
    c.put("d", 2.5);
    c.put("B", new java.math.BigInteger("99999999999999999999"));
    c.put("t", true);
    c.put("f", false);
    c.put("l", new ArrayList<Object>(Arrays.asList(1, "b", null, 4.5)));
    Map<String, Object> inner = new LinkedHashMap<String, Object>();
    inner.put("x", 1);
    inner.put("y", new ArrayList<Object>(Arrays.asList(7, 8)));
    Map<String, Object> m = new LinkedHashMap<String, Object>();
    m.put("k", "v");
    m.put("n", inner);
    m.put("z", null);
    c.put("m", m);
    return c;
  }

  public static void main(String[] args) throws Exception {
    RuntimeInstance stock = engine(false);
    RuntimeInstance aws = engine(true);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "US-ASCII");
    int count = 0;
    for (String line; (line = in.readLine()) != null; ) {
      String[] parts = line.split(" ", 2);
      String source = new String(Base64.getDecoder().decode(parts[1]), StandardCharsets.UTF_8);
      boolean gateway = parts[0].equals("gateway");
      // Macros stay known to an engine for good.
      RuntimeInstance ri = gateway ? aws : source.contains("macro") ? engine(false) : stock;
      out.println(render(ri, gateway, "t" + count++, source));
    }
  }

  static String render(RuntimeInstance ri, boolean gateway, String name, String source) {
    Template t = new Template();
    try {
      t.setRuntimeServices(ri);
      t.setName(name);
      t.setData(ri.parse(new StringReader(source), name));
      t.initDocument();
    } catch (Throwable e) {
      return "p";
    }
    VelocityContext c = variables();
    if (gateway) {
      EventCartridge ec = new EventCartridge();
      ec.addEventHandler(new Empty());
      ec.attachToContext(c);
    }
    try {
      StringWriter w = new StringWriter();
      t.merge(c, w);
      return "o" + Base64.getEncoder().encodeToString(w.toString().getBytes(StandardCharsets.UTF_8));
    } catch (Throwable e) {
      return "e";
    }
  }

}
