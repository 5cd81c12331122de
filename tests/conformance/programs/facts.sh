{ printf '%s\n' "$PWD" "$@"; } > /opt/ml/output/data/lines.txt
