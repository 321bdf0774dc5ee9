/** The statements of the store. Each is whole by itself: no lock outlives what the database does by itself. */

/** A node that was not heard of for so long may be relieved of its users. */
export const DEAD_AFTER = '10 s';

const ALIVE = `EXISTS (SELECT FROM node n WHERE n.id = $1::int8 AND NOT n.fenced)`;

/**
 * A batch of all users: only of those whose document is as this node knows it, and only while this node is not
 * fenced. Who is missing in the answer has been taken by another node, or is not what it was.
 */
const HELD = `
WITH b AS (SELECT * FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[])
             AS t(doc, claim, version, first, last, revision, history_from, memory, epoch)),
held AS (UPDATE document d SET version = d.version + 1, first = b.first, last = b.last, revision = b.revision,
                history_from = b.history_from, memory = nullif(b.memory, -1), epoch = nullif(b.epoch, -1)
           FROM b WHERE d.doc = b.doc AND d.claim = b.claim AND d.version = b.version AND d.owner = $1::int8 AND ${ALIVE}
         RETURNING d.doc),
u AS (INSERT INTO update_row (doc, clock, data)
        SELECT x.* FROM unnest($11::int8[], $12::int8[], $13::bytea[]) x(doc, clock, data) JOIN held USING (doc)
      ON CONFLICT (doc, clock) DO UPDATE SET data = excluded.data),
h AS (INSERT INTO history_row (doc, revision, entry)
        SELECT x.* FROM unnest($14::int8[], $15::int8[], $16::bytea[]) x(doc, revision, entry) JOIN held USING (doc)
      ON CONFLICT (doc, revision) DO UPDATE SET entry = excluded.entry)`;

/** Where there is nothing but updates and entries, as most of the time. */
export const COMMIT = `${HELD} SELECT doc FROM held`;

export const CHANGE = `${HELD},
k AS (INSERT INTO kept (doc, kind, name, value)
        SELECT x.* FROM unnest($17::int8[], $18::text[], $19::bytea[], $20::bytea[]) x(doc, kind, name, value)
          JOIN held USING (doc) WHERE x.value IS NOT NULL
      ON CONFLICT (doc, kind, name) DO UPDATE SET value = excluded.value),
kd AS (DELETE FROM kept r USING unnest($17::int8[], $18::text[], $19::bytea[], $20::bytea[]) x(doc, kind, name, value), held
        WHERE x.value IS NULL AND held.doc = x.doc AND r.doc = x.doc AND r.kind = x.kind AND r.name = x.name),
ud AS (DELETE FROM update_row r USING b JOIN held USING (doc) WHERE r.doc = b.doc AND r.clock < b.first),
hd AS (DELETE FROM history_row r USING b JOIN held USING (doc) WHERE r.doc = b.doc AND r.revision <= b.history_from)
SELECT doc FROM held`;

const MAY_CLAIM = `d.owner IS NULL OR d.owner = $2::int8 OR d.owner = $3::int8
   OR NOT EXISTS (SELECT FROM node n WHERE n.id = d.owner AND NOT n.fenced AND n.beat > now() - interval '${DEAD_AFTER}')`;
const ROW = 'd.doc, d.claim, d.version, d.first, d.last, d.revision, d.history_from, d.memory, d.epoch';

/** $3 is a node that is relieved of it in any case, 0 for none. The answer tells whose it was, too. */
export const CLAIM = `
WITH was AS (SELECT owner FROM document WHERE user_id = $1::text)
INSERT INTO document AS d (user_id, owner) SELECT $1::text, $2::int8
 WHERE EXISTS (SELECT FROM node n WHERE n.id = $2::int8 AND NOT n.fenced)
ON CONFLICT (user_id) DO UPDATE SET owner = $2::int8, claim = d.claim + 1 WHERE ${MAY_CLAIM}
RETURNING ${ROW}, (SELECT owner FROM was) AS was`;

/** Another node may have it; nothing stays of a user of whom nothing was ever stored. */
export const RELEASE = `
WITH gone AS (DELETE FROM document WHERE doc = $1::int8 AND claim = $2::int8 AND version = 0 AND revision = 0 RETURNING doc)
UPDATE document SET owner = NULL WHERE doc = $1::int8 AND claim = $2::int8 AND NOT EXISTS (SELECT FROM gone)`;

/** Which of them are still as this node has them, or further on. */
export const CONFIRM = `
SELECT d.doc FROM unnest($2::int8[], $3::int8[], $4::int8[]) b(doc, claim, version)
  JOIN document d ON d.doc = b.doc AND d.claim = b.claim AND d.version >= b.version
   AND d.owner = $1::int8 AND ${ALIVE}`;

/** Which of them are not. */
export const LOST = `
SELECT b.doc FROM unnest($2::int8[], $3::int8[], $4::int8[]) b(doc, claim, version)
 WHERE NOT ${ALIVE} OR NOT EXISTS (SELECT FROM document d
   WHERE d.doc = b.doc AND d.claim = b.claim AND d.version >= b.version AND d.owner = $1::int8)`;

/** The users of them who are not, as another user may be who has got the number since. */
export const MISSING = `
SELECT b.user_id FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::text[]) b(doc, claim, version, user_id)
 WHERE NOT EXISTS (SELECT FROM document d WHERE d.doc = b.doc AND d.claim = b.claim AND d.version >= b.version
   AND d.user_id = b.user_id AND d.owner = $1::int8)`;

export const OWNER = `
SELECT n.id, n.address FROM document d JOIN node n ON n.id = d.owner WHERE d.user_id = $1::text`;

const NOTHING =
  'NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8';
const AS_ROW = 'NULL::text AS kind, NULL::int8 AS at, NULL::bytea AS name, NULL::bytea AS value';

/** All that a load needs: one statement sees one moment. */
export const LOAD = `
SELECT ${AS_ROW}, ${ROW} FROM document d WHERE user_id = $1::text
UNION ALL SELECT 'update', clock, NULL, data, ${NOTHING} FROM update_row WHERE doc = (SELECT doc FROM document WHERE user_id = $1::text)
UNION ALL SELECT kind, NULL, name, value, ${NOTHING} FROM kept
  WHERE doc = (SELECT doc FROM document WHERE user_id = $1::text)
    AND kind IN ('key', 'memory', 'epoch', 'rest', 'tombstone', 'device')`;

/** What is kept of these kinds, with the row it belongs to. */
export const KEPT = `
SELECT ${AS_ROW}, ${ROW} FROM document d WHERE user_id = $1::text
UNION ALL SELECT kind, NULL, name, value, ${NOTHING} FROM kept
  WHERE doc = (SELECT doc FROM document WHERE user_id = $1::text) AND kind = ANY($2::text[])`;

/** The entries of a page, newest first, with the row and the key that opens them. */
export const HISTORY = `
SELECT ${AS_ROW}, ${ROW} FROM document d WHERE user_id = $1::text
UNION ALL SELECT kind, NULL, name, value, ${NOTHING} FROM kept
  WHERE doc = (SELECT doc FROM document WHERE user_id = $1::text) AND kind = 'key'
UNION ALL (SELECT 'entry', revision, NULL, entry, ${NOTHING} FROM history_row
  WHERE doc = (SELECT doc FROM document WHERE user_id = $1::text) AND revision < $2::int8
    AND revision > (SELECT history_from FROM document WHERE user_id = $1::text)
  ORDER BY revision DESC LIMIT $3::int8)`;

export const UPDATE_AT = `
SELECT data AS value FROM update_row WHERE doc = $1::int8 AND clock = $2::int8`;

export const USERS = `
SELECT user_id FROM document WHERE (version > 0 OR revision > 0) AND ($1::text IS NULL OR user_id > $1::text COLLATE "C")
 ORDER BY user_id LIMIT $2::int8`;

/**
 * The document gets another number, so that nothing of the old one can be reached, whoever writes what; its rows are
 * deleted later, the key that opens them at once.
 */
export const ERASE = `
WITH d AS (UPDATE document d SET doc = DEFAULT, version = version + 1, first = 0, last = -1, revision = revision + 1,
                  history_from = revision + 1, memory = NULL, epoch = NULL
            WHERE doc = $2::int8 AND claim = $3::int8 AND user_id = $5::text AND ${ALIVE} RETURNING doc),
e AS (INSERT INTO erasing (doc, user_id) SELECT $2::int8, $5::text FROM d),
k AS (DELETE FROM kept r USING d WHERE r.doc = $2::int8 AND r.kind = 'key')
INSERT INTO kept (doc, kind, name, value) SELECT doc, 'tombstone', ''::bytea, $4::bytea FROM d RETURNING doc`;

const ERASED_AT_ONCE = 5_000;
/** Some rows of an erased document; what another node is deleting already is left to it. */
export const WIPE = ['update_row', 'history_row', 'kept'].map(
  (table) => `
DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM ${table} WHERE doc = $1::int8 LIMIT ${ERASED_AT_ONCE} FOR UPDATE SKIP LOCKED)) RETURNING 1 AS gone`,
);
export const WIPED = `
DELETE FROM erasing WHERE doc = $1::int8 AND NOT EXISTS (SELECT FROM update_row WHERE doc = $1::int8)
   AND NOT EXISTS (SELECT FROM history_row WHERE doc = $1::int8) AND NOT EXISTS (SELECT FROM kept WHERE doc = $1::int8)`;
export const ERASING = 'SELECT doc FROM erasing';
export const ERASING_OF = 'SELECT doc FROM erasing WHERE user_id = $1::text';
export const STILL_ERASING = 'SELECT doc FROM erasing WHERE doc = $1::int8';

export const PUT_NOTE = `
INSERT INTO note (name, value) VALUES ($1::text, $2::bytea) ON CONFLICT (name) DO UPDATE SET value = excluded.value`;
export const NOTE = 'SELECT value FROM note WHERE name = $1::text';

/** Milliseconds since 1970. */
const TIME = '(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS time';

/** One start of a server at this address; one that was there before is over. */
export const START = `
WITH before AS (UPDATE node SET fenced = true WHERE address = $1::text AND NOT fenced),
old AS (DELETE FROM node WHERE fenced AND beat < now() - interval '1 day')
INSERT INTO node (address, version, keys) VALUES ($1::text, $2::text, $3::text[]) RETURNING id, ${TIME}`;
/** Another start at this address that lives, and came after this one. */
export const SUCCESSOR = `
SELECT id FROM node WHERE address = $1::text AND id > $2::int8 AND NOT fenced AND beat > now() - interval '${DEAD_AFTER}'`;
export const BEAT = `
UPDATE node SET beat = now(), users = $2::int8, taken = $3::int8 WHERE id = $1::int8 AND NOT fenced RETURNING id, ${TIME}`;
/** Those that were not stopped; one that was killed is of interest for a day. */
export const NODES = `
SELECT id, address, version, users, taken, extract(epoch FROM started) AS started, extract(epoch FROM now() - beat) AS silent
  FROM node WHERE NOT fenced AND beat > now() - interval '1 day' ORDER BY address, id`;
/** Of these nodes, those whose users anybody may have who asks. */
export const GONE = `
SELECT x.id FROM unnest($1::int8[]) x(id)
 WHERE NOT EXISTS (SELECT FROM node n WHERE n.id = x.id AND NOT n.fenced AND n.beat > now() - interval '${DEAD_AFTER}')`;
/** All its users are free by that. */
export const STOP = 'UPDATE node SET fenced = true WHERE id = $1::int8';
