"""The questions asked of PostgreSQL's catalog (14 and later): which tables and sequences, and what the schema is.

Objects of the system and of extensions are left out; every name is qualified because the search path is empty.
"""

from __future__ import annotations

from typing import Final, LiteralString

# Conditions on the aliases n (pg_namespace) and, with the object's catalog, on extension membership.
_OURS: Final = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


def _own(catalog: LiteralString, oid: LiteralString) -> LiteralString:
    member = f"d.classid = '{catalog}'::regclass AND d.objid = {oid} AND d.deptype = 'e'"
    return f"{_OURS} AND NOT EXISTS (SELECT FROM pg_depend d WHERE {member})"


# Tables that hold rows, each with its columns by name; generated columns follow from the others.
TABLES: Final = f"""
    SELECT n.nspname, c.relname,
           array(SELECT a.attname FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                 ORDER BY a.attname COLLATE "C")
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_own("pg_class", "c.oid")}
    ORDER BY 1, 2
"""  # noqa: S608 - only constants are put in

SEQUENCES: Final = f"""
    SELECT n.nspname, c.relname, s.seqincrement
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND {_own("pg_class", "c.oid")}
    ORDER BY 1, 2
"""  # noqa: S608

LARGE_OBJECTS: Final = """
    SELECT count(*), coalesce(sum(hashtextextended(oid || ' ' || md5(lo_get(oid)), 0)), 0)::text
    FROM pg_largeobject_metadata
"""

LOG_POSITION: Final = """
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text
"""

EXTENSIONS: Final = "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"

_NAME: Final = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"

_RELATIONS = f"""
    SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
                          ELSE 'table' END,
           {_NAME},
           concat_ws(' ',
               CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
               CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
               CASE WHEN c.relkind = 'p' THEN 'partitioned by ' || pg_get_partkeydef(c.oid) END,
               pg_get_expr(c.relpartbound, c.oid),
               (SELECT 'inherits ' || string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
                FROM pg_inherits i WHERE i.inhrelid = c.oid),
               CASE WHEN c.relrowsecurity THEN 'row security' END,
               CASE WHEN c.relforcerowsecurity THEN 'forced' END,
               CASE WHEN c.relreplident <> 'd' THEN 'replica identity ' || c.relreplident::text END,
               (SELECT 'with ' || string_agg(o, ', ' ORDER BY o) FROM unnest(c.reloptions) o))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND {_own("pg_class", "c.oid")}
"""  # noqa: S608

_COLUMNS = f"""
    SELECT CASE c.relkind WHEN 'c' THEN 'attribute' ELSE 'column' END,
           {_NAME} || '.' || quote_ident(a.attname),
           concat_ws(' ',
               format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation::text END,
               CASE WHEN a.attnotnull THEN 'not null' END,
               CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
               CASE a.attgenerated WHEN '' THEN 'default ' ELSE 'generated ' END || pg_get_expr(v.adbin, v.adrelid))
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef v ON v.adrelid = a.attrelid AND v.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p', 'f', 'c') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped
      AND {_own("pg_class", "c.oid")}
"""  # noqa: S608

# PostgreSQL 18 keeps NOT NULL among the constraints; it stands with the column already.
_CONSTRAINTS = f"""
    SELECT 'constraint', {_NAME} || '.' || quote_ident(k.conname), pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype NOT IN ('n', 't') AND {_own("pg_class", "c.oid")}
"""  # noqa: S608

_INDEXES = f"""
    SELECT 'index', quote_ident(n.nspname) || '.' || quote_ident(x.relname),
           concat_ws(' ', pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN 'INVALID' END,
                     CASE WHEN i.indisclustered THEN 'clustered' END)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND {_own("pg_class", "c.oid")}
"""  # noqa: S608

_SEQUENCE_TYPES = f"""
    SELECT 'sequence', {_NAME},
           concat_ws(' ', s.seqtypid::regtype, 'start', s.seqstart, 'increment', s.seqincrement, 'from', s.seqmin,
                     'to', s.seqmax, 'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END,
                     (SELECT 'owned by ' || o.refobjid::regclass::text || '.' || quote_ident(a.attname)
                      FROM pg_depend o JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
                      WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.deptype IN ('a', 'i')
                        AND o.refclassid = 'pg_class'::regclass))
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND {_own("pg_class", "c.oid")}
"""  # noqa: S608

_FUNCTIONS = f"""
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
           p.oid::regprocedure::text,
           CASE WHEN p.prokind = 'a' THEN concat_ws(' ', pg_get_function_result(p.oid), g.aggtransfn, g.aggfinalfn,
                                                    g.agginitval)
                ELSE pg_get_functiondef(p.oid) END
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
    WHERE {_own("pg_proc", "p.oid")}
"""  # noqa: S608

_TRIGGERS = f"""
    SELECT 'trigger', {_NAME} || '.' || quote_ident(t.tgname),
           pg_get_triggerdef(t.oid) || ' enabled ' || t.tgenabled::text
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND {_own("pg_class", "c.oid")}
"""  # noqa: S608

_TYPES = f"""
    SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'type' END,
           t.oid::regtype::text,
           concat_ws(' ',
               (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                FROM pg_enum e WHERE e.enumtypid = t.oid),
               CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
               CASE WHEN t.typnotnull THEN 'not null' END,
               'default ' || t.typdefault,
               (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'),
               (SELECT r.rngsubtype::regtype FROM pg_range r WHERE r.rngtypid = t.oid))
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c')) AND {_own("pg_type", "t.oid")}
"""  # noqa: S608

_POLICIES = f"""
    SELECT 'policy', {_NAME} || '.' || quote_ident(p.polname),
           concat_ws(' ', p.polcmd::text, CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
                     'using ' || pg_get_expr(p.polqual, p.polrelid),
                     'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE {_own("pg_class", "c.oid")}
"""  # noqa: S608

_RULES = f"""
    SELECT 'rule', {_NAME} || '.' || quote_ident(r.rulename), pg_get_ruledef(r.oid)
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' AND {_own("pg_class", "c.oid")}
"""  # noqa: S608

_STATISTICS = f"""
    SELECT 'statistics', quote_ident(n.nspname) || '.' || quote_ident(s.stxname), pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
    WHERE {_own("pg_statistic_ext", "s.oid")}
"""  # noqa: S608

_SCHEMAS = f"SELECT 'schema', quote_ident(n.nspname), '' FROM pg_namespace n WHERE {_own('pg_namespace', 'n.oid')}"  # noqa: S608

# Each gives rows of (kind, name, definition).
SCHEMA: Final[tuple[LiteralString, ...]] = (
    _SCHEMAS,
    _RELATIONS,
    _COLUMNS,
    _CONSTRAINTS,
    _INDEXES,
    _SEQUENCE_TYPES,
    _FUNCTIONS,
    _TRIGGERS,
    _TYPES,
    _POLICIES,
    _RULES,
    _STATISTICS,
    "SELECT 'extension', quote_ident(extname), '' FROM pg_extension",
)

DATABASE: Final = """
    SELECT datname, current_user, current_setting('server_version_num')::int / 10000,
           pg_encoding_to_char(encoding), datcollate, datctype, pg_database_size(oid),
           (SELECT reset_val FROM pg_settings WHERE name = 'search_path')
    FROM pg_database WHERE datname = current_database()
"""

# Names that start with pg_ are the server's own.
ROLES: Final = """
    SELECT r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolinherit, r.rolbypassrls,
           array(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                 WHERE m.member = r.oid ORDER BY 1)
    FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1
"""
