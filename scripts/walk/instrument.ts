import { posix, relative } from 'node:path';
import { type ESTree, type Plugin, parseSync } from 'vite';

/** The global function that instrumented functions call, and what it is given; see trace.ts. */
export const TRACER = '__enter';

const OURS = /^(server|shared|client)\//;

/** Makes each function of ours tell when it is entered, and what is entered from it. */
export const instrument: Plugin = {
  name: 'instrument',
  transform(code, id) {
    const file = relative('.', id).replaceAll('\\', '/');
    return OURS.test(file) ? { code: instrumented(file, code), map: null } : null;
  },
};

type Node = ESTree.Node;

/**
 * JavaScript in which each body of a function is handed to the tracer.
 *
 * @example instrumented('a.js', 'const f = (x) => x;')
 * // 'const f = (x) => __enter("a.js", "f", undefined, (call1) => (x));'
 */
export function instrumented(file: string, code: string): string {
  const insertions: { at: number; text: string }[] = [];
  const insert = (at: number, text: string) => insertions.push({ at, text });
  const visit = (node: unknown, name: string, depth: number): void => {
    if (Array.isArray(node)) for (const each of node) visit(each, name, depth);
    if (!isNode(node)) return;
    if (!isFunction(node)) {
      const own = node.type === 'CallExpression' ? '' : (nameOf(node, code) ?? name);
      for (const child of Object.values(node)) visit(child, own, depth);
      return;
    }
    visit(node.params, '', depth);
    const end = wrap(node, [file, nameOf(node, code) ?? name, depth], insert);
    visit(node.body, '', node.generator ? depth : depth + 1);
    end();
  };
  visit(parseSync(posix.basename(file).replace(/\.tsx?$/, '.js'), code).program, '', 0);
  return inserted(code, insertions);
}

/** Inserts what comes before a body; returns what inserts the rest. A generator is one that only says its name. */
function wrap(
  { async: isAsync, generator, body }: FunctionNode,
  [file, name, depth]: readonly [file: string, name: string, depth: number],
  insert: (at: number, text: string) => void,
): () => void {
  const isBlock = body.type === 'BlockStatement';
  const writtenIn = depth === 0 ? 'undefined' : `call${depth}`;
  const called = `${TRACER}(${JSON.stringify(file)}, ${JSON.stringify(name)}, ${writtenIn}, `;
  const inner = `${called}${isAsync ? 'async ' : ''}(call${depth + 1}) => `;
  if (generator) insert(body.start + 1, `${called}() => {});`);
  else insert(isBlock ? body.start + 1 : body.start, isBlock ? `return ${inner}{` : `${inner}(`);
  return () => {
    if (!generator) insert(isBlock ? body.end - 1 : body.end, isBlock ? '});' : '))');
  };
}

/** Insertions at one place stay in the order in which they were made: that of the text. */
function inserted(code: string, insertions: { at: number; text: string }[]): string {
  const sorted = insertions.toSorted((a, b) => a.at - b.at);
  let end = 0;
  const parts = sorted.map(({ at, text }) => {
    const before = code.slice(end, at);
    end = at;
    return before + text;
  });
  return parts.join('') + code.slice(end);
}

type FunctionNode = (ESTree.Function | ESTree.ArrowFunctionExpression) & { body: Node };

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && 'start' in value;

const isFunction = (node: Node): node is FunctionNode =>
  /^(Function(Declaration|Expression)|ArrowFunctionExpression)$/.test(node.type) &&
  'body' in node &&
  node.body !== null;

const NAMED_BY: Readonly<Record<string, string>> = {
  FunctionDeclaration: 'id',
  FunctionExpression: 'id',
  VariableDeclarator: 'id',
  MethodDefinition: 'key',
  PropertyDefinition: 'key',
  Property: 'key',
  AssignmentExpression: 'left',
};

/** The name that a function gets by standing here: of its own, of the method, the variable or the field. */
function nameOf(node: Node, code: string): string | undefined {
  const place = NAMED_BY[node.type];
  const named: unknown = place === undefined ? undefined : node[place as keyof Node];
  return isNode(named) ? code.slice(named.start, named.end) : undefined;
}
