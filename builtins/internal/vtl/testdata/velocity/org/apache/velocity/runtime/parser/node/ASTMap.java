package org.apache.velocity.runtime.parser.node;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.velocity.context.InternalContextAdapter;
import org.apache.velocity.exception.MethodInvocationException;
import org.apache.velocity.runtime.parser.Parser;

/** A map literal that keeps its order, in the place of Velocity's own, which prints by hash. */
public class ASTMap extends SimpleNode {
  public ASTMap(int id) { super(id); }

  public ASTMap(Parser p, int id) { super(p, id); }

  public Object jjtAccept(ParserVisitor visitor, Object data) { return visitor.visit(this, data); }

  public Object value(InternalContextAdapter context) throws MethodInvocationException {
    Map<Object, Object> map = new LinkedHashMap<Object, Object>();
    for (int i = 0; i < jjtGetNumChildren(); i += 2) {
      map.put(jjtGetChild(i).value(context), jjtGetChild(i + 1).value(context));
    }
    return map;
  }
}
