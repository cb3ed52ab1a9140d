set -eu
for app in $APPS; do
    git -C "/opt/$app/code" pull --quiet
    "/opt/$app/venv/bin/pip" install --quiet -r "/opt/$app/code/app/requirements.txt"
    systemctl restart "$app"
done
