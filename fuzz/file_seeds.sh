#!/bin/bash
# Writes real files of every format and codec, for the file targets to begin with: file_seeds.sh EGRET FOLDER
#
# They are written by Egret itself. A seed begins with the byte by which its target picks options.
set -euo pipefail
egret=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fields='n = int, s = string, d = "decimal(20, 4)", b = bytes, t = timestamp, day = date, at = time, f = double, ok = boolean,
    l = "array<int>", m = "map<string, array<string>>", r = { x = int, y = string, z = { u = bigint } }'

# file NAME ROWS OPTIONS: writes a file, and moves it to $work/NAME
file() {
    rm -rf "$work/out"
    cat > "$work/job.conf" <<JOB
env { job.mode = BATCH }
source { FakeSource { row.num = $2, string.length = 8, array.size = 3, map.size = 2, schema { fields { $fields } } } }
sink { LocalFile { path = "$work/out", tmp_path = "$work/tmp", $3 } }
JOB
    "$egret" run "$work/job.conf" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    mv "$(find "$work/out" -type f | head -1)" "$work/$1"
}

# seed TARGET KIND NAME FILE: a file behind the byte that picks its options
seed() {
    mkdir -p "$folder/$1"
    { printf "\\x$(printf %x "$2")"; cat "$work/$4"; } > "$folder/$1/$3"
}

for rows in 1 5 200; do
    for codec in none zlib snappy lzo lz4 zstd; do
        file f $rows "file_format_type = orc, compress_codec = $codec"
        seed file_orc 0 $codec-$rows f
    done
    for codec in none snappy gzip zstd lz4 brotli; do
        file f $rows "file_format_type = parquet, compress_codec = $codec"
        seed file_parquet 0 $codec-$rows f
    done
done

for rows in 1 5; do
    file f $rows 'file_format_type = csv, enable_header_write = true'
    for kind in 0 7; do seed file_text $kind csv-$kind-$rows f; done
    kind=3
    for encoding in GBK UTF-16 UTF-32 ISO-2022-JP; do
        iconv -f UTF-8 -t $encoding "$work/f" > "$work/g"
        seed file_text $kind $encoding-$rows g
        kind=$((kind + 1))
    done
    file f $rows 'file_format_type = text'
    seed file_text 1 text-$rows f
    file f $rows 'file_format_type = text, field_delimiter = ";"'
    seed file_text 2 pattern-$rows f

    file f $rows 'file_format_type = json'
    iconv -f UTF-8 -t GB18030 "$work/f" > "$work/g"
    seed file_json 0 json-$rows f
    seed file_json 1 gb18030-$rows g
    seed file_json 2 short-$rows f

    file f $rows 'file_format_type = xml, xml_row_tag = R, xml_use_attr_format = true'
    seed file_xml 0 attributes-$rows f
    file f $rows 'file_format_type = xml, xml_row_tag = R, xml_use_attr_format = false'
    iconv -f UTF-8 -t UTF-16 "$work/f" > "$work/g"
    seed file_xml 1 elements-$rows f
    seed file_xml 2 utf16-$rows g

    file f $rows 'file_format_type = excel'
    for kind in 0 1; do seed file_excel $kind xlsx-$kind-$rows f; done

    kind=0
    for codec in lzo snappy lz4 zlib gzip bzip2 brotli zstd; do
        file f $rows "file_format_type = text, compress_codec = $codec"
        seed file_packed $kind $codec-$rows f
        kind=$((kind + 1))
    done
    file a.csv $rows 'file_format_type = csv'
    file b.json.gz $rows 'file_format_type = json, compress_codec = gzip'
    cp "$work/a.csv" "$work/c.csv"
    (
        cd "$work"
        rm -f a.zip b.zip
        zip -q a.zip a.csv c.csv
        zip -q b.zip b.json.gz
        tar cf a.tar a.csv c.csv
        tar czf a.tar.gz a.csv c.csv
        gzip -kf a.csv
    )
    kind=8
    for archive in a.zip a.tar a.tar.gz a.csv.gz b.zip; do
        seed file_packed $kind $archive-$rows $archive
        kind=$((kind + 1))
    done
done
