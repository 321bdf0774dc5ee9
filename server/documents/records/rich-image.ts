/** Brings a text or XML back to what it was inside what is there: an editor that is open on it goes on (H6, D2). */
import * as Y from 'yjs';
import type { SharedText } from '../../../shared/rich-text.js';
import { commonEnds, sameJson } from './patch.js';
import {
  addRun,
  describeText,
  type Held,
  type HeldFields,
  hold,
  insertion,
  isElement,
  type RichMark,
  type TextMark,
  type TextRun,
  unhold,
  type XmlMark,
} from './value-image.js';

/** `false`, and nothing is changed, when it has to be another one. */
export function writeRich(current: SharedText, wanted: RichMark | null): boolean {
  if (wanted === null) return false;
  if (wanted.kind === 'element' || wanted.kind === 'fragment') {
    return current instanceof Y.XmlFragment && writeXml(current, wanted);
  }
  return current instanceof Y.Text && writeText(current, wanted);
}

function writeXml(xml: Y.XmlFragment, wanted: XmlMark): boolean {
  const name = xml instanceof Y.XmlElement ? xml.nodeName : null;
  if (name !== (wanted.kind === 'element' ? wanted.name : null)) return false;
  const children = xml.toArray() as unknown[];
  if (!children.every(isElement)) return false; // there is more in it than can be read
  if (xml instanceof Y.XmlElement && wanted.kind === 'element') writeAttributes(xml, wanted.attributes);
  writeChildren(xml, children, wanted.children);
  return true;
}

/** Children between the common start and end are paired in their order. */
function writeChildren(xml: Y.XmlFragment, children: readonly unknown[], wanted: readonly Held[]): void {
  const { start, end } = commonEnds(children.map(hold), wanted);
  const [from, to] = [children.slice(start, children.length - end), wanted.slice(start, wanted.length - end)];
  for (const [k, held] of to.entries()) {
    if (k < from.length && writeChild(from[k], held)) continue;
    if (k < from.length) xml.delete(start + k, 1);
    xml.insert(start + k, [unhold(held) as Y.XmlElement]);
  }
  if (from.length > to.length) xml.delete(start + to.length, from.length - to.length);
}

const writeChild = (child: unknown, held: Held): boolean =>
  (child instanceof Y.Text || child instanceof Y.XmlFragment) &&
  typeof held === 'object' &&
  held !== null &&
  held.kind !== 'value' &&
  writeRich(child, held);

/** Edits a text to what it was; `false` when it has to be another one. */
function writeText(text: Y.Text, wanted: TextMark): boolean {
  const current = describeText(text);
  if (wanted.kind !== current.kind) return false;
  if (sameJson(current, wanted)) return true;
  const [from, to] = [unitsOf(current.runs), unitsOf(wanted.runs)];
  if (lengthOf(from) !== text.length) return false; // there is more in it than can be read
  const delta = deltaOf(from, to);
  if (delta.length > 0) text.applyDelta(delta);
  writeAttributes(text, wanted.attributes);
  return true;
}

function writeAttributes(type: Y.Text | Y.XmlElement, attributes: HeldFields): void {
  const current: Record<string, unknown> = type.getAttributes();
  for (const name of Object.keys(current)) if (!Object.hasOwn(attributes, name)) type.removeAttribute(name);
  for (const [name, value] of Object.entries(attributes)) {
    const isSame = Object.hasOwn(current, name) && sameJson(hold(current[name]), value);
    if (!isSame) type.setAttribute(name, unhold(value) as string);
  }
}

/** One run per character, so that no edit splits a surrogate pair. */
const unitsOf = (runs: readonly TextRun[]): TextRun[] =>
  runs.flatMap(([content, format]) =>
    typeof content === 'string'
      ? [...content].map((character): TextRun => [character, format])
      : [[content, format]],
  );

const lengthOf = (units: readonly TextRun[]): number =>
  units.reduce((sum, [content]) => sum + (typeof content === 'string' ? content.length : 1), 0);

/** The one hunk between the common start and end, as Yjs takes it. */
function deltaOf(from: readonly TextRun[], to: readonly TextRun[]): object[] {
  const { start, end } = commonEnds(from, to);
  const runs: TextRun[] = [];
  for (const unit of to.slice(start, to.length - end)) addRun(runs, unit);
  const [retain, gone] = [lengthOf(from.slice(0, start)), lengthOf(from.slice(start, from.length - end))];
  return [
    ...(retain > 0 && (gone > 0 || runs.length > 0) ? [{ retain }] : []),
    ...(gone > 0 ? [{ delete: gone }] : []),
    ...runs.map(insertion),
  ];
}
