#!/usr/bin/env bash
# Makes a book of the documentation: target/book/index.html. Needs mdbook (CONTRIBUTING.md says how to get it).
#
# mdbook wants every page below one folder, and so do links. The pages of this repository stand where people look for them, README,
# scenarios and results included, so the book is made of a copy of the tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tree="$target/book-tree"
rm -rf "$tree" "$target/book"
mkdir -p "$tree"
# What git tracks or would, so that neither `target` nor somebody's runs get into it.
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - --ignore-failed-read | tar --extract --directory "$tree"
cp docs/book.toml "$tree/book.toml"
# mdbook makes `index.html` of a README.md, so that a link to a folder finds it, but leaves links to the file as they are; the summary
# is `toc.html` there.
find "$tree" -name '*.md' -exec sed -i -E 's#\]\(([^):]*)README\.md#](\1index.md#g; s#\]\(docs/SUMMARY\.md#](toc.html#g' {} +
# Links of the summary count from docs/; those of the book from the top.
sed -E 's#\]\(#](docs/#; s#\(docs/\.\./#(#' docs/SUMMARY.md >"$tree/SUMMARY.md"
mdbook build "$tree" --dest-dir "$target/book"
